"""BP masks cut from what FF keeps: pruned twice (SLoPe), or in a searched order (Bi-Mask).

Both keep a weight only if FF keeps it, too. SLoPe (arXiv 2405.15950, as coded by its authors)
groups neighbouring output channels; Bi-Mask (arXiv 2302.06058, as coded) groups them in the order,
of some random ones, in which the most weights survive.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.trace import NM
from workloads.pruning.layouts import Kept, backward_matrix, from_backward
from workloads.pruning.magnitude import top_n_bits

#: Orders that a search looks at, and steps between two searches, in training.
CANDIDATES = 100
SEARCH_EVERY = 100

Order = npt.NDArray[np.int64]


def pruned_twice(
    weights: npt.NDArray[np.float32], forward: Kept, pattern: NM, order: Order | None = None
) -> Kept:
    """Of what `forward` keeps, the N largest of every M outputs, taken in `order` if given.

    Args:
        weights, forward: (groups, outputs, taps, inputs).
        order: a permutation of the outputs of a group.

    Returns:
        Booleans shaped like `weights`, its outputs where they were.
    """
    places = np.arange(weights.shape[1]) if order is None else order
    masked = np.where(forward, weights, np.float32(0.0))[:, places]
    bits = top_n_bits(backward_matrix(masked), pattern.n, pattern.m)  # type: ignore[arg-type]
    kept = np.empty_like(forward)
    kept[:, places] = from_backward(bits, masked.shape)
    return kept & forward


def search_order(
    weights: npt.NDArray[np.float32],
    forward: Kept,
    pattern: NM,
    seed: int,
    candidates: int = CANDIDATES,
) -> Order:
    """Of `candidates` random orders of the outputs, the one in which the most weights survive.

    How many survive depends on the mask alone: of the ones of a group, N at most.
    """
    rng = np.random.default_rng(seed)
    outputs = weights.shape[1]
    # (outputs, everything else): survivors of an order are sums over M neighbouring rows.
    ones = np.ascontiguousarray(forward.transpose(1, 0, 2, 3).reshape(outputs, -1), dtype=np.uint8)
    best, most = np.arange(outputs), -1
    for _ in range(candidates):
        order = rng.permutation(outputs)
        counts = ones[order].reshape(outputs // pattern.m, pattern.m, -1).sum(1, dtype=np.uint16)
        survivors = int(np.minimum(counts, pattern.n).sum())
        if survivors > most:
            best, most = order, survivors
    return best
