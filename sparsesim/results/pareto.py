"""The Pareto front of a set of design points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def pareto_front(costs: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Which points no other point beats: lower is better in every column.

    A point is beaten if another is at most as costly in every column and cheaper in at least
    one, so equal points stay on the front together. A point with a NaN cost is never on it.

    Args:
        costs: (points, objectives) array.

    Returns:
        Boolean array of shape (points,), true on the front.

    Raises:
        ValueError: `costs` is not two-dimensional.
    """
    table = np.asarray(costs, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"costs must be (points, objectives), got shape {table.shape}")
    front = np.zeros(len(table), dtype=np.bool_)
    left = np.lexsort(table.T[::-1])
    left = left[~np.isnan(table[left]).any(axis=1)]
    while left.size:
        # The lexicographic minimum of what is left cannot be beaten by anything left, and what
        # was removed was beaten by a point of the front.
        best, left = left[0], left[1:]
        front[best] = True
        beaten = (table[left] >= table[best]).all(axis=1) & (table[left] > table[best]).any(axis=1)
        left = left[~beaten]
    return front
