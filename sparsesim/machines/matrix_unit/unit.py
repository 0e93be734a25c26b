"""One matrix unit on one slice: clocks of the products and of reading their operands.

A tensor core tile of m x n x k takes m n k / macs clocks, half of that with 2:4 weights, while its
operands are read from shared memory. A weight-stationary array streams m rows past k x n weights,
which were loaded while the slice before streamed, and needs k + n - 2 clocks to fill and drain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.matrix_unit.spec import MatrixUnitSpec, Tile

Numbers = npt.NDArray[np.int64]


@njit(cache=True)
def stepped_slice(rows: int, depth: int, cols: int, load: int) -> tuple[int, int]:
    """Clocks of one slice on a weight-stationary array, every PE clock by clock.

    Row i enters array row r at clock i + r; column c sees it c clocks later; what leaves the last
    row at column c is a result. Weights of the next slice take `load` clocks, which hide or not.

    Returns:
        All clocks, and clocks in which at least one row entered the array.
    """
    left = rows * cols
    valid = np.zeros((depth, cols), np.int8)
    clock = 0
    fed = 0
    while left > 0 or clock < load:
        moved = np.zeros((depth, cols), np.int8)
        for r in range(depth):
            row = clock - r
            if 0 <= row < rows:
                moved[r, 0] = 1
            for c in range(1, cols):
                moved[r, c] = valid[r, c - 1]
        valid = moved
        fed += clock < rows
        for c in range(cols):
            left -= valid[depth - 1, c]
        clock += 1
    return clock, fed


def fast_slice(rows: int, depth: int, cols: int, load: int) -> tuple[int, int]:
    """The same in closed form."""
    return max(rows + depth + cols - 2, load), rows


def slice_clocks(spec: MatrixUnitSpec, tile: Tile, depth: int, sparse: bool) -> tuple[int, int]:
    """(all clocks, clocks of products) of a unit on a slice `depth` deep of `tile`."""
    if spec.kind == "systolic":
        return fast_slice(tile.m, spec.array_rows, spec.array_cols, spec.array_rows)
    products = tile.m * tile.n * depth // (2 if sparse else 1)
    busy = -(-products // spec.macs_per_clock)
    reads = 2 * tile.m * tile.n * depth * spec.element_bytes // spec.operand_reuse
    if sparse:  # the kept half of the weights, and all activations they choose from
        reads = reads * 3 // 4
    return max(busy, -(-reads // spec.shared_bytes_per_clock)), busy
