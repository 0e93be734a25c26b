"""Register-level model of a grid of USPEs: one call advances every PE by one enabled clock.

This is the specification (docs/sat.md section 1) that the RTL is compared with, as a 1 x 1 grid,
and that array passes are built from.

Delay lines (operations and blocks moving east, weights moving south) are kept as histories of
what entered at the edge: row r at step t sees the operation that entered row 0 at step
t - r * skew, which is what the chain of registers holds. Nothing flows westward, so column c does
exactly what column 0 did c clocks before: each column is advanced in its own time, c clocks late,
and control is one value for a whole row. The pass adds the cols - 1 clocks back (`stepped.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

#: Bits of an operation code; the slot and accumulator numbers stand above them.
MAC, FIRST, LAST, OS_MODE = 1, 2, 4, 8
SLOT_SHIFT, ACC_SHIFT, FIELD_MASK = 8, 16, 0xFF
NO_LOAD = -1
NO_DRAIN = -1

Int = npt.NDArray[np.int32]
Float = npt.NDArray[np.float32]

CANONICAL_NAN = np.uint32(0x7FC00000).view(np.float32)


class Grid(NamedTuple):
    """Registers of `rows` x `cols` PEs."""

    weight: Float  # (rows, n_max, cols)
    selected: Int  # (rows, n_max, cols) position of each weight in its block
    product: Float  # (mul_latency, rows, cols)
    total: Float  # (add_latency, rows, cols)
    accumulator: Float  # (rows, interleave, cols)
    result: Float  # (rows, cols)
    result_valid: npt.NDArray[np.bool_]  # (rows,)
    passing: Float  # (rows + 1, cols); row 0 is the north edge
    passing_valid: npt.NDArray[np.bool_]  # (rows + 1,)


class EdgeHistory(NamedTuple):
    """What enters the grid, by step.

    Nothings stand before the first step for the skewed readers (`edge_padding`), so a position
    is a step plus that padding.
    """

    operation: Int  # operation codes at row 0
    block: npt.NDArray[np.int64]  # where in `activations` the block of that operation starts
    drain: Int  # accumulator to drain at row 0, or NO_DRAIN
    stream: Int  # row of `weights` that moves south beside that operation (OS)
    load_row: Int  # array row a loaded weight is for, or NO_LOAD
    load_slot: Int
    load_from: Int  # row of `weights` the loaded values are in
    activations: Float  # flat
    row_offset: npt.NDArray[np.int64]  # added to `block` for each array row
    weights: Float  # (entries, cols)
    indices: Int  # (entries, cols)


def edge_padding(grid: Grid, skew: int) -> int:
    """Steps of nothing that must stand before step 0 of an `EdgeHistory`."""
    rows = grid.result.shape[0]
    return rows * max(skew, 2) + grid.product.shape[0] + grid.total.shape[0]


def new_grid(
    rows: int, cols: int, n_max: int, interleave: int, mul_latency: int, add_latency: int
) -> Grid:
    """A grid in its reset state."""
    return Grid(
        weight=np.zeros((rows, n_max, cols), np.float32),
        selected=np.zeros((rows, n_max, cols), np.int32),
        product=np.zeros((mul_latency, rows, cols), np.float32),
        total=np.zeros((add_latency, rows, cols), np.float32),
        accumulator=np.zeros((rows, interleave, cols), np.float32),
        result=np.zeros((rows, cols), np.float32),
        result_valid=np.zeros(rows, np.bool_),
        passing=np.zeros((rows + 1, cols), np.float32),
        passing_valid=np.zeros(rows + 1, np.bool_),
    )


@njit(cache=True)
def commit_sums(grid: Grid, edge: EdgeHistory, position: int, skew: int, step: int) -> None:
    """Rule 5: sums issued add_latency steps ago reach accumulator and result registers.

    `position` is that of row 0's operation in the history, `step` counts enabled clocks.
    """
    rows, cols = grid.result.shape
    depth = grid.total.shape[0]
    stage = step % depth
    age = grid.product.shape[0] + depth
    for r in range(rows):
        operation = edge.operation[position - age - r * skew]
        leaves = operation & (MAC | LAST | OS_MODE) == MAC | LAST
        grid.result_valid[r] = leaves
        if operation & MAC:
            acc = (operation >> ACC_SHIFT) & FIELD_MASK
            for c in range(cols):
                grid.accumulator[r, acc, c] = grid.total[stage, r, c]
        if leaves:
            for c in range(cols):
                grid.result[r, c] = grid.total[stage, r, c]


@njit(cache=True)
def advance(
    grid: Grid, edge: EdgeHistory, position: int, skew: int, drain_skew: int, step: int
) -> None:
    """Rules 1-4 and 6: everything that happens at the edge that ends `step`.

    Call after `commit_sums` of the same step. Row 0 of `passing` holds what is on the north
    edge during this step. Each stage reads registers that a later stage writes.
    """
    _add(grid, edge, position, skew, step)
    _pass_south(grid, edge, position, skew, drain_skew)
    _multiply(grid, edge, position, skew, step)


# One call a clock for all rows: a call takes about as long as a row of PEs.


@njit(cache=True)
def _add(grid: Grid, edge: EdgeHistory, position: int, skew: int, step: int) -> None:
    """Rule 4: the addend by operation, then one rounding."""
    rows, cols = grid.result.shape
    mul_depth = grid.product.shape[0]
    product = step % mul_depth
    stage = step % grid.total.shape[0]
    for r in range(rows):
        operation = edge.operation[position - r * skew - mul_depth]
        if not operation & MAC:
            continue
        if not operation & FIRST:
            acc = (operation >> ACC_SHIFT) & FIELD_MASK
            for c in range(cols):
                value = grid.accumulator[r, acc, c] + grid.product[product, r, c]
                grid.total[stage, r, c] = value if value == value else CANONICAL_NAN
        elif not operation & OS_MODE and r > 0 and grid.result_valid[r - 1]:
            for c in range(cols):
                value = grid.result[r - 1, c] + grid.product[product, r, c]
                grid.total[stage, r, c] = value if value == value else CANONICAL_NAN
        elif not operation & OS_MODE and grid.passing_valid[r]:
            for c in range(cols):
                value = grid.passing[r, c] + grid.product[product, r, c]
                grid.total[stage, r, c] = value if value == value else CANONICAL_NAN
        else:
            for c in range(cols):
                value = np.float32(0.0) + grid.product[product, r, c]
                grid.total[stage, r, c] = value if value == value else CANONICAL_NAN


@njit(cache=True)
def _pass_south(grid: Grid, edge: EdgeHistory, position: int, skew: int, drain_skew: int) -> None:
    """Rule 6: the pass register takes a drained accumulator, else a word nobody took."""
    rows, cols = grid.result.shape
    mul_depth = grid.product.shape[0]
    for r in range(rows - 1, -1, -1):  # south first: a row reads its northern neighbour's old word
        adding = edge.operation[position - r * skew - mul_depth]
        taken = adding & (MAC | FIRST | OS_MODE) == MAC | FIRST
        drain = edge.drain[position - r * drain_skew]
        result = r > 0 and grid.result_valid[r - 1]
        passes = (result or grid.passing_valid[r]) and not taken
        grid.passing_valid[r + 1] = passes or drain != NO_DRAIN
        if drain != NO_DRAIN:
            for c in range(cols):
                grid.passing[r + 1, c] = grid.accumulator[r, drain, c]
        elif passes and result:
            for c in range(cols):
                grid.passing[r + 1, c] = grid.result[r - 1, c]
        elif passes:
            for c in range(cols):
                grid.passing[r + 1, c] = grid.passing[r, c]


@njit(cache=True)
def _multiply(grid: Grid, edge: EdgeHistory, position: int, skew: int, step: int) -> None:
    """Rule 3: select by index, multiply; exact, so no rounding."""
    rows, cols = grid.result.shape
    stage = step % grid.product.shape[0]
    for r in range(rows):
        at = position - r * skew
        operation = edge.operation[at]
        if not operation & MAC:
            continue
        block = edge.block[at] + edge.row_offset[r]
        if operation & OS_MODE:
            entry = edge.stream[at]
            for c in range(cols):
                grid.product[stage, r, c] = (
                    edge.weights[entry, c] * edge.activations[block + edge.indices[entry, c]]
                )
        else:
            slot = (operation >> SLOT_SHIFT) & FIELD_MASK
            for c in range(cols):
                grid.product[stage, r, c] = (
                    grid.weight[r, slot, c] * edge.activations[block + grid.selected[r, slot, c]]
                )


@njit(cache=True)
def capture_weights(grid: Grid, edge: EdgeHistory, position: int) -> None:
    """Rule 2: a load that has moved south to its row writes the weight register."""
    rows, cols = grid.result.shape
    for r in range(rows):
        at = position - r
        if edge.load_row[at] == r:
            entry = edge.load_from[at]
            for c in range(cols):
                grid.weight[r, edge.load_slot[at], c] = edge.weights[entry, c]
                grid.selected[r, edge.load_slot[at], c] = edge.indices[entry, c]


@njit(cache=True)
def south_word(grid: Grid, word: Float) -> bool:
    """Rule 7 at the south edge: copy the word on `p_o` of the last row; False if there is none."""
    rows, cols = grid.result.shape
    if grid.result_valid[rows - 1]:
        for c in range(cols):
            word[c] = grid.result[rows - 1, c]
        return True
    if grid.passing_valid[rows]:
        for c in range(cols):
            word[c] = grid.passing[rows, c]
        return True
    return False
