"""Selection of the largest magnitudes, straight into packed bits."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sparsesim.trace.masks import PackedBits, pack

Matrix = npt.NDArray[np.float32]


def top_n_bits(matrix: Matrix, n: int, group: int) -> PackedBits:
    """Keep the `n` largest magnitudes of every `group` neighbours in a row.

    Ties go to the lower column; -0 and +0 are equal. Exactly `n` are kept, zeros included.

    Args:
        matrix: (rows, columns) float32 without NaN; columns a multiple of `group`.

    Returns:
        Packed bits, (rows, ceil(columns / 8)).
    """
    rows, columns = matrix.shape
    assert columns % group == 0
    # The bits of a float32 without its sign are ordered as its magnitude is.
    magnitude = np.ascontiguousarray(matrix).view(np.uint32)
    bits = np.zeros((rows, (columns + 7) // 8), dtype=np.uint8)
    _select(magnitude, n, group, bits)
    return bits


@numba.njit(cache=True, nogil=True)
def _select(
    magnitude: npt.NDArray[np.uint32], n: int, group: int, bits: PackedBits
) -> None:  # pragma: no cover - compiled
    shift = 0
    while (1 << shift) < group:
        shift += 1
    low = (1 << shift) - 1
    largest = np.zeros(n, dtype=np.int64)  # keys in descending order
    for row in range(magnitude.shape[0]):
        for start in range(0, magnitude.shape[1], group):
            for place in range(n):
                largest[place] = -1
            for offset in range(group):
                # Magnitude above, position below: an earlier position makes a larger key.
                value = np.int64(magnitude[row, start + offset]) & 0x7FFFFFFF
                key = (value << shift) | (low - offset)
                if key > largest[n - 1]:
                    place = n - 1
                    while place > 0 and largest[place - 1] < key:
                        largest[place] = largest[place - 1]
                        place -= 1
                    largest[place] = key
            for place in range(n):
                column = start + low - (largest[place] & low)
                bits[row, column >> 3] |= np.uint8(1 << (column & 7))


def largest_bits(matrix: Matrix, kept: int) -> PackedBits:
    """Keep the `kept` largest magnitudes of the whole matrix; ties go to the lower index.

    Returns:
        Packed bits, (rows, ceil(columns / 8)).
    """
    return pack(largest(_magnitude(matrix), kept))


def _magnitude(matrix: Matrix) -> npt.NDArray[np.uint32]:
    """The bits of a float32 without its sign, which are ordered as its magnitude is."""
    return np.ascontiguousarray(matrix).view(np.uint32) & np.uint32(0x7FFFFFFF)


def largest(scores: npt.NDArray[Any], kept: int) -> npt.NDArray[np.bool_]:
    """The `kept` largest of all `scores`, shaped like them; ties go to the lower index."""
    flat = scores.ravel()
    threshold = np.partition(flat, flat.size - kept)[flat.size - kept]
    chosen = flat > threshold
    chosen[np.flatnonzero(flat == threshold)[: kept - int(chosen.sum())]] = True
    return chosen.reshape(scores.shape)


def row_largest(matrix: Matrix, kept: int) -> npt.NDArray[np.bool_]:
    """The `kept` largest magnitudes of each row; ties go to the lower column."""
    magnitude = _magnitude(matrix)
    place = magnitude.shape[1] - kept
    threshold = np.partition(magnitude, place, axis=1)[:, place, None]
    chosen = magnitude > threshold
    ties = magnitude == threshold
    missing = kept - chosen.sum(axis=1, dtype=np.int64)[:, None]
    return chosen | (ties & (np.cumsum(ties, axis=1) <= missing))
