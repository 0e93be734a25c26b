"""One SPU, clock by clock: FIFOs, lanes, accumulators, drain. The specification of `fast.py`.

Registers are updated as hardware does: everything is read before anything is written. The stage
order below (drain, accumulate, multiply, issue, FIFOs) is the order from the back to the front,
so that each stage reads what the stage before it held at the start of the clock.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.s4.spu import (
    BUSY,
    FILL_DRAIN,
    IMBALANCE,
    INPUT_ACTIVATIONS,
    INPUT_WEIGHTS,
    OUTCOME_COLUMNS,
    OUTPUT,
    PAIRS,
    RESULTS,
    ROWS,
    STEPS,
    Numbers,
    Run,
    SpuShape,
)


@njit(cache=True)
def run_spu(
    shape: SpuShape,
    run: Run,
    acts: npt.NDArray[np.generic],
    values: npt.NDArray[np.generic],
    indices: npt.NDArray[np.int16],
    zero: npt.NDArray[np.generic],
) -> tuple[Numbers, npt.NDArray[np.generic]]:
    """Step one run.

    Args:
        shape: the unit. run: what it computes.
        acts: (tiles x rows, J x G) activations as accumulator values (int32 or float32); row tile r
            reads tile r modulo their number, and results are kept of as many tiles.
        values, indices: (steps of all filter tiles, cols) weight steps in issue order; an index
            below 0 is an idle lane.
        zero: (1,) a zero of the accumulator's type, which fixes the type of all lanes.

    Returns:
        Outcome (OUTCOME_COLUMNS,) and the accumulators as drained, (tiles x rows, C x cols).
    """
    row_tiles, col_tiles, groups = run.rows_used.size, run.cols_used.size, run.steps.shape[1]
    rows, cols, group = shape.rows, shape.cols, shape.group
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    kept_tiles = acts.shape[0] // rows
    result = np.zeros((kept_tiles * rows, col_tiles * cols), zero.dtype)
    first_step = np.zeros(col_tiles + 1, np.int64)
    rows_to_come = 0
    for c in range(col_tiles):
        first_step[c + 1] = first_step[c] + run.steps[c].sum()
        live = 0
        for j in range(groups):
            live += run.steps[c, j] > 0
        for r in range(row_tiles):
            rows_to_come += live * run.rows_used[r]
    steps_to_come = first_step[col_tiles] * row_tiles

    # Activation FIFO: only counted; the group at its head is where (r, c, j) stands.
    act_rows = 0
    # Weight FIFO and the register in which a step is assembled from its slices.
    weight_steps = 0
    slices = 0
    # Issue position: row tile, filter tile, group, step in the group, and steps issued in tile.
    r, c, j, s, at = 0, 0, 0, 0, 0
    while j < groups and run.steps[c, j] == 0:
        j += 1
    done = steps_to_come == 0
    pause = 0  # clocks until the adder takes another step
    drain_wait = 0  # clocks until the drain has room for another tile
    issued_any = False
    # Pipeline registers: selected operands, products; each with its flags.
    sel_valid, sel_first, sel_last = False, False, False
    sel_a = np.zeros((rows, cols), zero.dtype)
    sel_w = np.zeros(cols, zero.dtype)
    mul_valid, mul_first, mul_last = False, False, False
    product = np.zeros((rows, cols), zero.dtype)
    acc = np.zeros((rows, cols), zero.dtype)
    # The adder writes its accumulator `step_clocks` after it read it.
    add_left, add_last = 0, False
    pending = np.zeros((rows, cols), zero.dtype)
    sel_r, sel_c, mul_r, mul_c, acc_r, acc_c = 0, 0, 0, 0, 0, 0
    # Drain registers: the tile being emptied, and the words still to leave.
    drain = np.zeros((rows, cols), zero.dtype)
    drain_left, drain_r, drain_c = 0, 0, 0
    full_move = False  # an accumulated tile moves to the drain registers in this clock
    quant_left = 0  # clocks until the last word that entered requantisation has left it
    clock = 0
    while True:
        # Requantisation: a pipeline; only its emptying is visible.
        if quant_left > 0:
            quant_left -= 1
        # Drain: one word of one row per clock.
        if drain_left > 0:
            words = -(-run.cols_used[drain_c] // shape.drain_width)
            word = words * run.rows_used[drain_r] - drain_left
            row, part = word // words, word % words
            low = part * shape.drain_width
            high = min(low + shape.drain_width, run.cols_used[drain_c])
            for n in range(low, high):
                result[drain_r % kept_tiles * rows + row, drain_c * cols + n] = drain[row, n]
            outcome[RESULTS] += high - low
            drain_left -= 1
            quant_left = shape.quant_latency
        # Accumulator to drain registers, once the last sum of a tile stands.
        if full_move:
            drain[:, :] = acc
            drain_r, drain_c = acc_r, acc_c
            drain_left = run.rows_used[acc_r] * -(-run.cols_used[acc_c] // shape.drain_width)
            full_move = False
        # Adder.
        if mul_valid:
            for m in range(rows):
                for n in range(cols):
                    pending[m, n] = product[m, n] + (zero[0] if mul_first else acc[m, n])
            add_left, add_last = shape.step_clocks, mul_last
            acc_r, acc_c = mul_r, mul_c
        if add_left > 0:
            add_left -= 1
            if add_left == 0:
                acc[:, :] = pending
                full_move = add_last
        # Multipliers.
        mul_valid, mul_first, mul_last = sel_valid, sel_first, sel_last
        if sel_valid:
            for m in range(rows):
                for n in range(cols):
                    product[m, n] = sel_a[m, n] * sel_w[n]
            mul_r, mul_c = sel_r, sel_c
        # Issue: one step to all lanes, or the first cause that forbids it.
        sel_valid = False
        popped_rows, popped_steps = 0, 0
        if pause > 0:
            pause -= 1
        if drain_wait > 0:
            drain_wait -= 1
        if not done and pause == 0:
            end_group = s == run.steps[c, j] - 1
            end_tile = at == first_step[c + 1] - first_step[c] - 1
            if act_rows < run.rows_used[r]:
                cause = INPUT_ACTIVATIONS
            elif weight_steps == 0:
                cause = INPUT_WEIGHTS
            elif end_tile and drain_wait > 0:
                cause = OUTPUT
            else:
                cause = -1
            if cause >= 0:
                outcome[cause if issued_any else FILL_DRAIN] += 1
            else:
                step = first_step[c] + at
                sel_valid, sel_first, sel_last = True, at == 0, end_tile
                sel_r, sel_c = r, c
                for n in range(cols):
                    index = indices[step, n]
                    sel_w[n] = values[step, n] if index >= 0 else zero[0]
                    column = j * group + max(index, 0)
                    for m in range(rows):
                        sel_a[m, n] = acts[r % kept_tiles * rows + m, column]
                # A step does work as long as its live lanes, shared evenly, would still have some.
                useful = s * run.cols_used[c] < run.pairs[c, j]
                outcome[BUSY if useful or run.steps[c, j] == 1 else IMBALANCE] += shape.step_clocks
                outcome[STEPS] += 1
                if s == 0:
                    outcome[PAIRS] += run.pairs[c, j]
                issued_any = True
                popped_steps = 1
                pause = shape.step_clocks
                s += 1
                at += 1
                if end_group:
                    popped_rows = run.rows_used[r]
                    s = 0
                    j += 1
                    while j < groups and run.steps[c, j] == 0:
                        j += 1
                if end_tile:
                    words = -(-run.cols_used[c] // shape.drain_width)
                    drain_wait = run.rows_used[r] * words
                    j, s, at = 0, 0, 0
                    c += 1
                    if c == col_tiles:
                        c = 0
                        r += 1
                        done = r == row_tiles
                    while not done and run.steps[c, j] == 0:
                        j += 1
        elif done and pause == 0:
            outcome[FILL_DRAIN] += 1
        # FIFOs: a push needs room at the start of the clock.
        pushed_rows = min(shape.act_rows, rows_to_come)
        if pushed_rows > 0 and act_rows + pushed_rows <= shape.act_capacity:
            rows_to_come -= pushed_rows
            outcome[ROWS] += pushed_rows
        else:
            pushed_rows = 0
        pushed_steps = 0
        if steps_to_come > 0:
            if slices < shape.weight_clocks - 1:
                slices += 1
            elif weight_steps < shape.weight_depth:
                slices = 0
                steps_to_come -= 1
                pushed_steps = 1
        act_rows += pushed_rows - popped_rows
        weight_steps += pushed_steps - popped_steps
        clock += 1
        idle = not (sel_valid or mul_valid or add_left > 0 or full_move)
        if done and pause <= 1 and idle and drain_left == 0 and quant_left == 0:
            return outcome, result
