"""Selection of the largest magnitudes, straight into packed bits."""

from __future__ import annotations

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
    magnitude = (np.ascontiguousarray(matrix).view(np.uint32) & 0x7FFFFFFF).ravel()
    threshold = np.partition(magnitude, magnitude.size - kept)[magnitude.size - kept]
    chosen = magnitude > threshold
    ties = np.flatnonzero(magnitude == threshold)[: kept - int(chosen.sum())]
    chosen[ties] = True
    return pack(chosen.reshape(matrix.shape))
