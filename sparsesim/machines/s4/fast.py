"""One SPU without stepping it: the same clocks, causes and counts as `stepped.run_spu`.

A step issues at the latest of: the clock after the step before it, its group's rows in the
activation FIFO, itself in the weight FIFO, and, for a tile's last step, room in the drain. All of
these are recurrences over earlier steps. Where row tiles repeat, so do the clocks between them
once the state at their boundary does; whole laps are then added without being looked at.
"""

from __future__ import annotations

import numpy as np
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
    SELECT_MULTIPLY,
    STEPS,
    Numbers,
    Run,
    SpuShape,
)

#: Row tile boundaries whose state is remembered while looking for a repetition.
_REMEMBERED = 48


@njit(cache=True)
def run_outcome(shape: SpuShape, run: Run) -> Numbers:
    """Outcome (OUTCOME_COLUMNS,) of `run`, equal to that of `stepped.run_spu`."""
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    row_tiles, col_tiles, groups = run.rows_used.size, run.cols_used.size, run.steps.shape[1]
    live = 0  # groups of one row tile that are not skipped
    for c in range(col_tiles):
        for j in range(groups):
            live += run.steps[c, j] > 0
    if live == 0 or row_tiles == 0:
        return outcome
    total_rows = live * run.rows_used.sum()
    depth = shape.weight_depth
    gap = shape.step_clocks

    issue = -gap  # clock of the last issued step
    pushed = 0  # group rows pushed so far, and the clock of the last such push
    word = -1
    step_pushed = -1  # clock of the last weight step that entered its FIFO
    popped = np.full(depth, -1, np.int64)  # clocks at which the last `depth` steps were issued
    steps_done = 0
    # Releases of activation groups: rows released up to and including, and the clock.
    ring = shape.act_capacity + 2
    released_rows = np.zeros(ring, np.int64)
    released_at = np.zeros(ring, np.int64)
    head, tail = 0, 0  # releases head..tail-1 are those that may still matter
    released = 0  # rows whose release the pushes have waited for already
    consumed = 0
    drained = -(1 << 40)  # issue of the last tile's last step
    drain_clocks = 0

    state_width = depth + ring * 2 + 8
    states = np.zeros((_REMEMBERED, state_width), np.int64)
    state = np.zeros(state_width, np.int64)
    marks = np.zeros((_REMEMBERED, OUTCOME_COLUMNS + 2), np.int64)
    stored = 0
    searching = True

    r = 0
    while r < row_tiles:
        if searching and r % run.lap == 0 and 0 < r < run.regular:
            # Times relative to the last issue; what lies too far back to matter is cut off.
            state[:] = 0
            state[0] = pushed - consumed
            state[1] = word - issue
            state[2] = step_pushed - issue
            state[3] = max(drained + drain_clocks - issue, 0)
            state[4] = consumed - released
            size = 5
            for d in range(depth):
                floor = step_pushed + shape.weight_clocks - 1
                state[size] = max(popped[(steps_done + d) % depth], floor) - issue
                size += 1
            for i in range(head, tail):
                state[size] = consumed - released_rows[i % ring]
                state[size + 1] = max(released_at[i % ring], word) - issue
                size += 2
            state[size] = -1
            found = -1
            for known in range(stored):
                if np.array_equal(states[known], state):
                    found = known
            if found >= 0:
                period = r - marks[found, OUTCOME_COLUMNS]
                laps = (run.regular - r) // period
                lap_rows = 0
                for i in range(r - period, r):
                    lap_rows += live * run.rows_used[i]
                # The run's last word may be short and fit earlier: leave it out of the laps.
                laps = min(laps, (total_rows - consumed - shape.act_rows) // lap_rows)
                if laps > 0:
                    for column in range(OUTCOME_COLUMNS):
                        outcome[column] += laps * (outcome[column] - marks[found, column])
                    shift = laps * (issue - marks[found, OUTCOME_COLUMNS + 1])
                    rows_skipped = lap_rows * laps
                    issue += shift
                    word += shift
                    step_pushed += shift
                    drained += shift
                    pushed += rows_skipped
                    consumed += rows_skipped
                    released += rows_skipped
                    for d in range(depth):
                        popped[d] += shift
                    for i in range(head, tail):
                        released_rows[i % ring] += rows_skipped
                        released_at[i % ring] += shift
                    r += laps * period
                searching = False
                if r >= row_tiles:
                    break
            elif stored < _REMEMBERED:
                states[stored] = state
                marks[stored, :OUTCOME_COLUMNS] = outcome
                marks[stored, OUTCOME_COLUMNS] = r
                marks[stored, OUTCOME_COLUMNS + 1] = issue
                stored += 1
            else:
                searching = False
        rows = run.rows_used[r]
        for c in range(col_tiles):
            last_group = groups - 1
            while run.steps[c, last_group] == 0:
                last_group -= 1
            cols = run.cols_used[c]
            for j in range(last_group + 1):
                steps = run.steps[c, j]
                if steps == 0:
                    continue
                # Rows of the group: pushed word by word, each as soon as there is room.
                while pushed < consumed + rows:
                    size = min(shape.act_rows, total_rows - pushed)
                    word += 1
                    while pushed + size - released > shape.act_capacity:
                        released = released_rows[head % ring]
                        word = max(word, released_at[head % ring] + 1)
                        head += 1
                    pushed += size
                consumed += rows
                outcome[PAIRS] += run.pairs[c, j]
                useful = max(1, min(steps, -(-run.pairs[c, j] // cols)))
                if steps == 1:
                    useful = 1
                elif run.pairs[c, j] == 0:
                    useful = 0
                outcome[BUSY] += useful * gap
                outcome[IMBALANCE] += (steps - useful) * gap
                outcome[STEPS] += steps
                for s in range(steps):
                    slot = steps_done % depth
                    step_pushed = max(step_pushed + shape.weight_clocks, popped[slot] + 1)
                    ready = issue + gap
                    first = steps_done == 0
                    acts = max(ready, word + 1) if s == 0 else ready
                    weights = max(acts, step_pushed + 1)
                    at = weights
                    if j == last_group and s == steps - 1:
                        at = max(weights, drained + drain_clocks)
                        drained = at
                        drain_clocks = rows * -(-cols // shape.drain_width)
                        outcome[RESULTS] += rows * cols
                    if first:
                        outcome[FILL_DRAIN] += at
                    else:
                        outcome[INPUT_ACTIVATIONS] += acts - ready
                        outcome[INPUT_WEIGHTS] += weights - acts
                        outcome[OUTPUT] += at - weights
                    issue = at
                    popped[slot] = at
                    steps_done += 1
                released_rows[tail % ring] = consumed
                released_at[tail % ring] = issue
                tail += 1
        r += 1
    outcome[ROWS] = total_rows
    outcome[FILL_DRAIN] += SELECT_MULTIPLY + 1 + drain_clocks + shape.quant_latency
    return outcome
