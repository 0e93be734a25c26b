"""The array with its edges and control (STCE), clock by clock, under any schedule of fetch units.

`stepped.run_pass` is the pass of a simulated operator: it knows the image and the banks that a
fetch unit is read from. Here a unit is announced on a port instead (`unit_*`), in the clock in
which its words are in the west buffers; all else is the same: `grid.advance` moves the PEs, the
order of issues is that of `issue_sequence`, and a pass lasts as many clocks (`busy`).

Clock behaviour, with s the clock in which `start` is taken (valid and ready):

- the control runs from clock s+1 on, one clock ahead of the array: what it issues in clock t, the
  buffers give and the array sees in t+1. The pass is the clocks in which `busy` is high, from s+2
  to the one in which the last column's last sum is written; `start_ready` is high in the next;
- weight-stationary: in the first rows x N clocks of the control the weights are read, entry after
  entry from `w_base`, deepest row first. Output-stationary: one entry per round of issues;
- a unit is taken in the clock in which it is needed and announced, not before the load is over.
  Where one is needed and not there, the control and, one clock later, the array stand still;
- result row i of a weight-stationary pass takes its blocks from address `a_base` + i of the row
  buffers; in output-stationary passes accumulator i of group g takes them from
  `a_base` + g used + i;
- words leave column c one clock after column c - 1 and land at `o_base`, `o_base` + 1, ... of the
  column's buffer: read and added (or added to +0) as docs/sat.md section 2 says, `add_latency`
  clocks later. `o_read`, while no pass runs, shows the words at
  `o_address` one clock later.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.array_ports import ArrayResponse, ArraySpec, ArrayStimulus
from sparsesim.machines.sat.pe_grid import (
    ACC_SHIFT,
    CANONICAL_NAN,
    FIRST,
    LAST,
    MAC,
    NO_DRAIN,
    NO_LOAD,
    OS_MODE,
    SLOT_SHIFT,
    EdgeHistory,
    Grid,
    advance,
    capture_weights,
    commit_sums,
    edge_padding,
    new_grid,
    south_word,
)

# State of the control, by position in one array: it is handed from function to function.
(
    _RUNNING,
    _OS,
    _KEPT,
    _USED,
    _ACCUMULATE,
    _OUT_BASE,
    _LOAD_LEFT,
    _IN_UNIT,
    _UNIT_LAST,
    _LEFT,
    _SLOT,
    _TURN,
    _BASE,
    _ENTRY,
    _FIRST_GROUP,
    _STARTED,
    _FINISHED,
    _DRAIN_WAIT,
    _DRAIN_ACC,
    _EXPECTED,
    _LANDED,
) = range(21)
_FIELDS = 21


def run_array(spec: ArraySpec, stimulus: ArrayStimulus) -> ArrayResponse:
    """Outputs of the array from reset, in each clock of `stimulus`."""
    clocks = len(stimulus.start_valid)
    pe = spec.pe
    response = ArrayResponse(
        a_ready=np.ones(clocks, np.bool_),
        w_ready=np.ones(clocks, np.bool_),
        start_ready=np.zeros(clocks, np.bool_),
        unit_ready=np.zeros(clocks, np.bool_),
        busy=np.zeros(clocks, np.bool_),
        frozen=np.zeros(clocks, np.bool_),
        p_valid=np.zeros((clocks, spec.cols), np.bool_),
        p_value=np.zeros((clocks, spec.cols), np.uint32),
        o_valid=np.zeros(clocks, np.bool_),
        o_data=np.zeros((clocks, spec.cols), np.uint32),
    )
    grid = new_grid(spec.rows, spec.cols, pe.n_max, pe.interleave, pe.mul_latency, pe.add_latency)
    padding = edge_padding(grid, spec.longest_skew)
    length = padding + clocks + 1
    edge = EdgeHistory(
        operation=np.zeros(length, np.int32),
        block=np.zeros(length, np.int64),
        drain=np.full(length, NO_DRAIN, np.int32),
        stream=np.zeros(length, np.int32),
        load_row=np.full(length, NO_LOAD, np.int32),
        load_slot=np.zeros(length, np.int32),
        load_from=np.zeros(length, np.int32),
        activations=np.zeros(spec.rows * spec.west_blocks * pe.m_max, np.float32),
        row_offset=np.arange(spec.rows, dtype=np.int64) * (spec.west_blocks * pe.m_max),
        weights=np.zeros((spec.north_entries, spec.cols), np.float32),
        indices=np.zeros((spec.north_entries, spec.cols), np.int32),
    )
    _run(
        spec.west_blocks,
        spec.round_clocks,
        pe.m_max,
        stimulus,
        stimulus.a_block.view(np.float16).astype(np.float32),
        stimulus.w_value.view(np.float16).astype(np.float32),
        stimulus.w_index.astype(np.int32) % pe.m_max,
        grid,
        edge,
        padding,
        np.zeros((spec.south_words, spec.cols), np.float32),
        response,
    )
    return response


@njit(cache=True)
def _run(
    west_blocks: int,
    round_clocks: int,
    m_max: int,
    stimulus: ArrayStimulus,
    blocks: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    indices: npt.NDArray[np.int32],
    grid: Grid,
    edge: EdgeHistory,
    padding: int,
    buffer: npt.NDArray[np.float32],
    response: ArrayResponse,
) -> None:
    rows, cols = grid.result.shape
    interleave = grid.accumulator.shape[1]
    mul_latency, add_latency = grid.product.shape[0], grid.total.shape[0]
    depth = buffer.shape[0]
    clocks = stimulus.start_valid.size
    state = np.zeros(_FIELDS, np.int64)
    state[_DRAIN_WAIT] = -1
    skew = add_latency
    # Words of all columns in the time of column 0, by enabled clock since reset.
    word = np.zeros((clocks + 1, cols), np.float32)
    word_valid = np.zeros(clocks + 1, np.bool_)
    seen = 0  # enabled clocks of the array since reset
    step = 0  # steps of the control since the pass began
    array_step = -1  # the one the array is at
    fresh = True  # the array has moved: its words of this clock are not known yet
    counts = np.zeros(cols, np.int64)  # words that have come, by column
    # What the south adders write, by clock.
    lands = np.full((clocks + add_latency + 1, cols), -1, np.int64)
    landing = np.zeros((clocks + add_latency + 1, cols), np.float32)
    data = np.zeros(cols, np.float32)  # what the south buffers were read for
    enabled = True
    was_running = False
    reads = False
    for clock in range(clocks):
        running = state[_RUNNING] != 0

        # What is seen in this clock.
        if fresh:
            commit_sums(grid, edge, padding + array_step, skew, array_step)
            word_valid[seen] = south_word(grid, word[seen])
            fresh = False
        response.busy[clock] = running and was_running
        response.frozen[clock] = not enabled
        response.start_ready[clock] = not running
        if reads:
            response.o_valid[clock] = True
            response.o_data[clock] = data.view(np.uint32)
        _show_words(word_valid, word, seen, response.p_valid[clock], response.p_value[clock])

        # The control.
        needs = running and not state[_FINISHED] and not state[_IN_UNIT]
        loading = state[_LOAD_LEFT] > 0
        response.unit_ready[clock] = needs and not loading
        takes = response.unit_ready[clock] and stimulus.unit_valid[clock]
        go = not (needs and not takes and state[_STARTED])

        # The south edge.
        for c in range(cols):
            at = (state[_OUT_BASE] + counts[c]) % depth
            data[c] = buffer[at if running else stimulus.o_address[clock], c]
            if enabled and running and response.p_valid[clock, c]:
                lands[clock + add_latency, c] = at
                value = (data[c] if state[_ACCUMULATE] else np.float32(0.0)) + word[seen - c, c]
                landing[clock + add_latency, c] = value if value == value else CANONICAL_NAN
                counts[c] += 1
        for c in range(cols):
            if lands[clock, c] >= 0:
                buffer[lands[clock, c], c] = landing[clock, c]
        if lands[clock, cols - 1] >= 0:
            state[_LANDED] += 1

        # The array, which the control is one clock ahead of.
        if enabled:
            advance(grid, edge, padding + array_step, skew, 2, array_step)
            capture_weights(grid, edge, padding + array_step)
            array_step += 1
            seen += 1
            fresh = True
        if go:
            _issue(
                state,
                edge,
                padding + step,
                takes,
                stimulus.unit_count[clock],
                stimulus.unit_last[clock],
                rows,
                interleave,
                round_clocks,
                mul_latency + add_latency,
                m_max,
                west_blocks,
            )
            step += 1
        if running and state[_FINISHED] and lands[clock, cols - 1] >= 0:
            state[_RUNNING] = int(state[_LANDED] < state[_EXPECTED])
        if stimulus.start_valid[clock] and not running:
            _begin(state, stimulus, clock, rows)
            skew = 1
            if not stimulus.start_os[clock]:
                skew = (stimulus.start_kept[clock] - 1) * round_clocks + add_latency
            # All of the pass before has left: its history is forgotten.
            edge.operation[:] = 0
            edge.drain[:] = NO_DRAIN
            edge.load_row[:] = NO_LOAD
            step, array_step = 0, -1
            counts[:] = 0
        reads = stimulus.o_read[clock] and not running
        was_running = running
        enabled = go

        # The buffers are written last: a read in the same clock sees what was there.
        if stimulus.a_valid[clock]:
            first = (stimulus.a_row[clock] * west_blocks + stimulus.a_address[clock]) * m_max
            edge.activations[first : first + m_max] = blocks[clock]
        if stimulus.w_valid[clock]:
            edge.weights[stimulus.w_address[clock]] = weights[clock]
            edge.indices[stimulus.w_address[clock]] = indices[clock]


@njit(cache=True)
def _begin(state: npt.NDArray[np.int64], stimulus: ArrayStimulus, clock: int, rows: int) -> None:
    state[:] = 0
    state[_RUNNING] = 1
    state[_OS] = stimulus.start_os[clock]
    state[_KEPT] = stimulus.start_kept[clock]
    state[_USED] = stimulus.start_used[clock]
    state[_ACCUMULATE] = stimulus.start_accumulate[clock]
    state[_OUT_BASE] = stimulus.start_o_base[clock]
    state[_BASE] = stimulus.start_a_base[clock]
    state[_ENTRY] = stimulus.start_w_base[clock]
    state[_FIRST_GROUP] = 1
    state[_DRAIN_WAIT] = -1
    if state[_OS]:
        state[_EXPECTED] = state[_USED] * rows
    else:
        state[_LOAD_LEFT] = rows * state[_KEPT]


@njit(cache=True)
def _issue(
    state: npt.NDArray[np.int64],
    edge: EdgeHistory,
    at: int,
    takes: bool,
    unit_count: int,
    unit_last: bool,
    rows: int,
    interleave: int,
    round_clocks: int,
    to_sum: int,
    m_max: int,
    west_blocks: int,
) -> None:
    """One step of the control: what it sends into the array goes into the history at `at`."""
    output_stationary = state[_OS] != 0
    kept = state[_KEPT]
    entries = edge.weights.shape[0]
    edge.stream[at] = state[_ENTRY]
    if state[_LOAD_LEFT]:
        sent = rows * kept - state[_LOAD_LEFT]
        edge.load_row[at] = rows - 1 - sent // kept
        edge.load_slot[at] = sent % kept
        edge.load_from[at] = state[_ENTRY]
        state[_ENTRY] = (state[_ENTRY] + 1) % entries
        state[_LOAD_LEFT] -= 1
    if state[_DRAIN_WAIT] == 0:
        edge.drain[at] = state[_DRAIN_ACC]
        state[_DRAIN_ACC] += 1
        state[_DRAIN_WAIT] = rows if state[_DRAIN_ACC] < state[_USED] else 0
    state[_DRAIN_WAIT] -= 1
    if takes:
        state[_IN_UNIT], state[_STARTED] = 1, 1
        state[_LEFT], state[_UNIT_LAST] = unit_count, unit_last
        if not output_stationary:
            state[_EXPECTED] += unit_count
    if not state[_IN_UNIT]:
        return

    sole = kept == 1 and not output_stationary
    used = 1 if sole else min(interleave, state[_LEFT])
    if output_stationary:
        used = state[_USED]
    left = state[_LEFT] - (1 if output_stationary else used)
    last_slot = state[_SLOT] == kept - 1
    over = state[_UNIT_LAST] != 0 and left == 0
    if state[_TURN] < used:
        code = MAC | state[_TURN] << ACC_SHIFT
        if output_stationary:
            code |= OS_MODE
        else:
            code |= state[_SLOT] << SLOT_SHIFT
        if state[_SLOT] == 0 and (state[_FIRST_GROUP] or not output_stationary):
            code |= FIRST
        if last_slot and (over or not output_stationary):
            code |= LAST
        edge.operation[at] = code
        edge.block[at] = (state[_BASE] + state[_TURN]) % west_blocks * m_max
    if over and last_slot and state[_TURN] == used - 1:
        state[_FINISHED], state[_IN_UNIT] = 1, 0
        if output_stationary:
            state[_DRAIN_WAIT] = to_sum - 1
    state[_TURN] += 1
    if sole or state[_TURN] == round_clocks:
        state[_TURN] = 0
        if output_stationary:
            state[_ENTRY] = (state[_ENTRY] + 1) % entries
        state[_SLOT] += 1
        if last_slot:
            state[_SLOT] = 0
            state[_BASE] += used
            state[_LEFT] = left
            state[_FIRST_GROUP] = 0
            if left == 0:
                state[_IN_UNIT] = 0


@njit(cache=True)
def _show_words(
    word_valid: npt.NDArray[np.bool_],
    word: npt.NDArray[np.float32],
    seen: int,
    valid: npt.NDArray[np.bool_],
    value: npt.NDArray[np.uint32],
) -> None:
    """Column c shows what column 0 has shown c enabled clocks before."""
    bits = word.view(np.uint32)
    for c in range(min(valid.size, seen + 1)):
        if word_valid[seen - c]:
            valid[c] = True
            value[c] = bits[seen - c, c]
