"""One pass of the array, clock by clock: edge fetch with bank arbitration, PEs, accumulation.

This is the specification of a pass; `fast.py` must give the same clocks, causes and words.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.im2col import Image, pixel_requests, slice_requests
from sparsesim.machines.sat.issue_sequence import (
    FetchRequests,
    IssueSequence,
    Region,
    fetch_requests,
    issue_sequence,
)
from sparsesim.machines.sat.passes import (
    BANK_CONFLICT,
    FILL_DRAIN,
    INPUT,
    OS,
    OUTCOME_COLUMNS,
    WORDS,
    WS,
    PassShape,
)
from sparsesim.machines.sat.pe_grid import (
    NO_DRAIN,
    NO_LOAD,
    EdgeHistory,
    Grid,
    advance,
    capture_weights,
    commit_sums,
    edge_padding,
    new_grid,
    south_word,
)

Float = npt.NDArray[np.float32]


def run_pass(
    shape: PassShape,
    image: Image,
    region: Region,
    a_tile: Float,
    weights: Float,
    indices: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], Float]:
    """Simulate one pass.

    Args:
        shape: constants of machine and problem.
        image: where the streamed operand is read from (decides bank conflicts).
        region: result rows and reduction covered.
        a_tile: (rows, width) streamed operand of the region, zero-padded: width `shape.tile_k`
            (WS), or rows `shape.tile_m` and width a multiple of `shape.group` (OS).
        weights: (entries, cols) kept values of the indexed operand. WS: entry = array row x kept
            + slot. OS: entry = group x kept + slot.
        indices: (entries, cols) their positions in the group.

    Returns:
        Outcome (OUTCOME_COLUMNS,): clocks by cause and words read; partial sums (rows, cols).
    """
    sequence = issue_sequence(shape, image, region, a_tile.shape[1])
    requests = fetch_requests(shape, image, region)
    slots = max(1, shape.kept) if shape.dataflow == WS else 1
    grid = new_grid(
        shape.rows,
        shape.cols,
        slots,
        shape.interleave,
        shape.mul_latency,
        shape.add_latency,
    )
    padding = edge_padding(grid, shape.row_skew)
    rows = region.m_last - region.m_first
    accumulators = -(-rows // shape.rows)
    words = rows if shape.dataflow == WS else accumulators * shape.rows
    edge = _edge(shape, sequence, padding, a_tile, weights, indices, accumulators)
    sums = np.zeros((words, shape.cols), np.float32)
    outcome = _run(shape, image, requests, sequence, grid, edge, padding, words, sums)
    return outcome, sums[:rows]


def _edge(
    shape: PassShape,
    sequence: IssueSequence,
    padding: int,
    a_tile: Float,
    weights: Float,
    indices: npt.NDArray[np.int32],
    accumulators: int,
) -> EdgeHistory:
    steps = sequence.operation.size
    reach = 2 * padding + (accumulators + 2) * shape.rows + 4 * shape.add_latency
    length = padding + max(steps, shape.load) + reach

    def history(values: npt.NDArray[np.generic], nothing: int) -> npt.NDArray[np.int32]:
        line = np.full(length, nothing, np.int32)
        line[padding : padding + values.size] = values
        return line

    drain = np.full(reach, NO_DRAIN, np.int32)
    load_row = np.empty(0, np.int32)
    if shape.dataflow == OS:
        first = steps - 1 + shape.mul_latency + shape.add_latency
        drain = np.full(first + accumulators * shape.rows, NO_DRAIN, np.int32)
        drain[first :: shape.rows] = np.arange(accumulators)
    else:  # deepest row first, so that every row has its weights when the load is over
        load_row = np.repeat(np.arange(shape.rows - 1, -1, -1), shape.kept).astype(np.int32)
    load_slot = np.tile(np.arange(shape.kept), load_row.size // shape.kept)
    stride = shape.group if shape.dataflow == WS else a_tile.shape[1]
    return EdgeHistory(
        operation=history(sequence.operation, 0),
        block=history(sequence.block, 0).astype(np.int64),
        drain=history(drain, NO_DRAIN),
        stream=history(sequence.stream, 0),
        load_row=history(load_row, NO_LOAD),
        load_slot=history(load_slot, 0),
        load_from=history(load_row * shape.kept + load_slot, 0),
        activations=a_tile.ravel(),
        row_offset=np.arange(shape.rows, dtype=np.int64) * stride,
        weights=weights,
        indices=indices,
    )


@njit(cache=True)
def _start_request(
    shape: PassShape,
    image: Image,
    requests: FetchRequests,
    request: int,
    pending: npt.NDArray[np.int64],
) -> int:
    """Put the words of one request before the banks; returns their number."""
    row, row_last = requests.row_first[request], requests.row_last[request]
    column, column_last = requests.column_first[request], requests.column_last[request]
    if (shape.dataflow == WS) != (shape.transposed == 1):
        return slice_requests(image, row, column, column_last, shape.word_elements, pending)
    words = -(-(column_last - column) // shape.word_elements)
    return pixel_requests(image, row, row_last, column // image.channels, words, pending)


@njit(cache=True)
def _grant(pending: npt.NDArray[np.int64]) -> int:
    """One clock of the activation buffer: each bank grants one word; returns words granted."""
    granted = 0
    for bank in range(pending.size):
        if pending[bank] > 0:
            pending[bank] -= 1
            granted += 1
    return granted


@njit(cache=True)
def _run(
    shape: PassShape,
    image: Image,
    requests: FetchRequests,
    sequence: IssueSequence,
    grid: Grid,
    edge: EdgeHistory,
    padding: int,
    words: int,
    sums: Float,
) -> npt.NDArray[np.int64]:
    outcome = np.zeros(OUTCOME_COLUMNS, np.int64)
    units = sequence.unit_steps.size
    steps = sequence.operation.size
    pending = np.zeros(shape.banks, np.int64)
    received = 0
    fetching = 0  # unit that the edge reads
    request = 0  # its next request
    outstanding = 0  # words of the current request not granted yet
    unit_left = 0  # steps the unit in use still lasts
    issued = -1  # step of the issue sequence, -1 before the first
    step = 0  # enabled clocks of the array
    # After the last word of column 0: the other columns are later, then it is accumulated.
    tail = shape.cols - 1 + shape.add_latency
    while True:
        # Words are requested as soon as the previous request is served; one without any is free.
        while (
            outstanding == 0 and fetching < units and request < requests.unit_request[fetching + 1]
        ):
            outstanding = _start_request(shape, image, requests, request, pending)
            outcome[WORDS] += outstanding
            request += 1
        fetched = (
            fetching < units and outstanding == 0 and request == requests.unit_request[fetching + 1]
        )
        frozen = False
        if unit_left == 0 and fetching < units:
            if fetched and step >= shape.load:
                unit_left = sequence.unit_steps[fetching]
                fetching += 1
                while (
                    outstanding == 0
                    and fetching < units
                    and request < requests.unit_request[fetching + 1]
                ):
                    outstanding = _start_request(shape, image, requests, request, pending)
                    outcome[WORDS] += outstanding
                    request += 1
            elif issued >= 0:
                frozen = True
        if outstanding > 0:
            outstanding -= _grant(pending)
        if frozen:
            outcome[BANK_CONFLICT] += 1
            continue
        if unit_left > 0:
            issued += 1
            unit_left -= 1
            outcome[sequence.cause[issued]] += 1
        elif issued >= 0:
            issued += 1
            outcome[FILL_DRAIN] += 1
        else:
            outcome[FILL_DRAIN if step < shape.load else INPUT] += 1
        position = padding + issued
        commit_sums(grid, edge, position, shape.row_skew, step)
        if received < words:
            received += south_word(grid, sums[received])
        advance(grid, edge, position, shape.row_skew, 2, step)
        if step < shape.load + shape.rows:
            capture_weights(grid, edge, padding + step)
        step += 1
        if issued >= steps - 1 and received == words:
            outcome[FILL_DRAIN] += tail
            return outcome
