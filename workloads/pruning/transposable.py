"""N:M masks that hold along both axes at once: in every M x M block each row and column keeps N.

The mask of a block is the one with the largest sum of magnitudes: a transport problem in which
each row sends N units and each column takes N, at most one between a row and a column. It is
solved exactly by successive shortest paths with potentials (Ahuja, Magnanti, Orlin, Network
Flows, 1993, section 9.7), as Hubara et al. (arXiv 2102.08124) formulate it. Magnitudes are
integers of 2**-40 of the block's largest, so that no rounding decides and the same weights always
give the same mask.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

_SCALE = 2.0**40


def transposable_mask(weights: npt.NDArray[np.float32], n: int, m: int) -> npt.NDArray[np.bool_]:
    """Keep exactly `n` of every `m` along outputs and along inputs, with the largest magnitudes.

    Args:
        weights: (groups, outputs, taps, inputs), finite; outputs and inputs multiples of `m`.

    Returns:
        Booleans shaped like `weights`.
    """
    assert weights.shape[1] % m == 0
    assert weights.shape[3] % m == 0
    kept = np.zeros(weights.shape, dtype=np.bool_)
    _fill(np.ascontiguousarray(np.abs(weights)), n, m, kept)
    return kept


@numba.njit(cache=True, nogil=True)
def _fill(
    magnitude: npt.NDArray[np.float32], n: int, m: int, kept: npt.NDArray[np.bool_]
) -> None:  # pragma: no cover - compiled
    groups, outputs, taps, inputs = magnitude.shape
    cost = np.zeros((m, m), dtype=np.int64)
    chosen = np.zeros((m, m), dtype=np.bool_)
    for group in range(groups):
        for tap in range(taps):
            for top in range(0, outputs, m):
                for left in range(0, inputs, m):
                    largest = 0.0
                    for row in range(m):
                        for column in range(m):
                            value = np.float64(magnitude[group, top + row, tap, left + column])
                            largest = max(largest, value)
                    scale = _SCALE / largest if largest > 0.0 else 0.0
                    for row in range(m):
                        for column in range(m):
                            value = np.float64(magnitude[group, top + row, tap, left + column])
                            # What keeping it costs: the less, the larger the magnitude.
                            cost[row, column] = np.int64((largest - value) * scale)
                            chosen[row, column] = False
                    _transport(cost, n, chosen)
                    for row in range(m):
                        for column in range(m):
                            kept[group, top + row, tap, left + column] = chosen[row, column]


@numba.njit(cache=True, nogil=True)
def _transport(
    cost: npt.NDArray[np.int64], n: int, chosen: npt.NDArray[np.bool_]
) -> None:  # pragma: no cover - compiled
    """Choose `n` entries in every row and column of the square `cost` at the least total cost.

    Nodes are the rows, the columns and one sink. A path may enter a column over an entry not
    chosen, and leave it over a chosen one, which is then given up.
    """
    m = cost.shape[0]
    sink = 2 * m
    far = np.int64(2**62)
    potential = np.zeros(sink + 1, dtype=np.int64)
    distance = np.empty(sink + 1, dtype=np.int64)
    before = np.empty(sink + 1, dtype=np.int64)
    settled = np.empty(sink + 1, dtype=np.bool_)
    taken = np.zeros(m, dtype=np.int64)
    for source in range(m):
        for _ in range(n):
            distance[:] = far
            settled[:] = False
            distance[source] = 0
            node = source
            while node != sink:
                settled[node] = True
                here = distance[node] + potential[node]
                if node < m:
                    for column in range(m):
                        to = m + column
                        if not settled[to] and not chosen[node, column]:
                            reach = here + cost[node, column] - potential[to]
                            if reach < distance[to]:
                                distance[to] = reach
                                before[to] = node
                else:
                    column = node - m
                    for row in range(m):
                        if not settled[row] and chosen[row, column]:
                            reach = here - cost[row, column] - potential[row]
                            if reach < distance[row]:
                                distance[row] = reach
                                before[row] = node
                    if taken[column] < n and here - potential[sink] < distance[sink]:
                        distance[sink] = here - potential[sink]
                        before[sink] = node
                node = -1
                for other in range(sink + 1):
                    if (
                        not settled[other]
                        and distance[other] < far
                        and (node < 0 or distance[other] < distance[node])
                    ):
                        node = other
            end = distance[sink]
            for other in range(sink + 1):
                potential[other] += min(distance[other], end)
            to = before[sink]
            taken[to - m] += 1
            while to != source:
                node = before[to]
                if to >= m:
                    chosen[node, to - m] = True
                else:
                    chosen[to, node - m] = False
                to = node
