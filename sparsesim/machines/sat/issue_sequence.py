"""The order in which one pass issues operations at the west edge, step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.im2col import Image, unit_end
from sparsesim.machines.sat.passes import BUSY, DEPENDENCY, IMBALANCE, WS, PassShape
from sparsesim.machines.sat.pe_grid import ACC_SHIFT, FIRST, LAST, MAC, OS_MODE, SLOT_SHIFT

Numbers = npt.NDArray[np.int64]


class Region(NamedTuple):
    """The part of a problem that one pass covers: result rows and reduction, half-open."""

    m_first: int
    m_last: int
    k_first: int
    k_last: int


class IssueSequence(NamedTuple):
    """What row 0 of the array issues in each of S steps, and which fetch unit it uses.

    `block` counts elements of the row-major tile of A that the pass is given.
    """

    operation: npt.NDArray[np.int32]  # (S,)
    block: Numbers  # (S,)
    stream: npt.NDArray[np.int32]  # (S,) entry of the streamed weights (OS)
    cause: npt.NDArray[np.int8]  # (S,) BUSY or why the step is a bubble
    unit_steps: Numbers  # (U,) steps that each fetch unit lasts


class FetchRequests(NamedTuple):
    """What each fetch unit reads, as requests served one after the other.

    A request is rows [row_first, row_last) x columns [column_first, column_last) of the im2col
    matrix; `unit_request` (U + 1) delimits the requests of each unit.
    """

    row_first: Numbers
    row_last: Numbers
    column_first: Numbers
    column_last: Numbers
    unit_request: Numbers


@njit(cache=True)
def issue_sequence(
    shape: PassShape, image: Image, region: Region, tile_width: int
) -> IssueSequence:
    """Operations of a pass; trailing bubbles are left out (they are part of the drain)."""
    if shape.dataflow == WS:
        return _weight_stationary(shape, image, region, tile_width)
    return _output_stationary(shape, image, region, tile_width)


@njit(cache=True)
def fetch_requests(shape: PassShape, image: Image, region: Region) -> FetchRequests:
    """What the west edge fetches, unit by unit (docs/sat.md section 2, edge fetch)."""
    requests = [(0, 0, 0, 0) for _ in range(0)]
    delimiters = [0]
    m_first, m_last, k_first, k_last = region
    if shape.dataflow == WS and not shape.transposed:
        size = shape.interleave if shape.kept > 1 else 1
        for m in range(m_first, m_last, size):
            for row in range(m, min(m + size, m_last)):
                requests.append((row, row + 1, k_first, k_last))
            delimiters.append(len(requests))
    elif shape.dataflow == WS:
        m = m_first
        while m < m_last:
            end = unit_end(image, m, m_last, shape.word_elements)
            requests.append((k_first, k_last, m, end))
            delimiters.append(len(requests))
            m = end
    elif not shape.transposed:
        k = k_first
        while k < k_last:
            end = unit_end(image, k, k_last, max(shape.group, shape.word_elements))
            for m in range(m_first, m_last, shape.rows):
                requests.append((m, min(m + shape.rows, m_last), k, end))
            delimiters.append(len(requests))
            k = end
    else:
        for k in range(k_first, k_last, shape.group):
            for row in range(k, min(k + shape.group, k_last)):
                requests.append((row, row + 1, m_first, m_last))
            delimiters.append(len(requests))
    table = np.array(requests, dtype=np.int64)
    return FetchRequests(
        table[:, 0].copy(),
        table[:, 1].copy(),
        table[:, 2].copy(),
        table[:, 3].copy(),
        np.array(delimiters, dtype=np.int64),
    )


@njit(cache=True)
def _weight_stationary(
    shape: PassShape, image: Image, region: Region, tile_width: int
) -> IssueSequence:
    m_first, m_last = region.m_first, region.m_last
    block = shape.interleave if shape.kept > 1 else 1
    round_clocks = shape.round_clocks if shape.kept > 1 else 1
    capacity = (m_last - m_first + block) * shape.kept * round_clocks * (block if block > 1 else 1)
    steps = _Steps(capacity)
    units = np.zeros(m_last - m_first, np.int64)
    count = 0
    m = m_first
    while m < m_last:
        # One fetch unit: a block of rows, or, transposed, the rows that share a buffer word.
        end = unit_end(image, m, m_last, shape.word_elements) if shape.transposed else m + block
        end = min(end, m_last)
        before = steps[4][0]
        for first in range(m, end, block):
            for slot in range(shape.kept):
                code = MAC | (slot << SLOT_SHIFT)
                code |= FIRST if slot == 0 else 0
                code |= LAST if slot == shape.kept - 1 else 0
                used = min(block, end - first)
                _issue_round(steps, code, used, block, round_clocks, first - m_first, tile_width, 0)
        units[count] = steps[4][0] - before
        count += 1
        m = end
    return _trimmed(steps, units[:count].copy())


@njit(cache=True)
def _output_stationary(
    shape: PassShape, image: Image, region: Region, tile_width: int
) -> IssueSequence:
    m_first, m_last, k_first, k_last = region
    used = (m_last - m_first + shape.rows - 1) // shape.rows
    capacity = ((k_last - k_first) // shape.group + 1) * shape.kept * shape.round_clocks
    steps = _Steps(capacity)
    units = np.zeros(k_last - k_first, np.int64)
    count = 0
    entry = 0
    k = k_first
    while k < k_last:
        end = k + shape.group
        if not shape.transposed:
            end = unit_end(image, k, k_last, max(shape.group, shape.word_elements))
        end = min(end, k_last)
        before = steps[4][0]
        for group in range(k, end, shape.group):
            for slot in range(shape.kept):
                code = MAC | OS_MODE
                code |= FIRST if group == k_first and slot == 0 else 0
                last = group + shape.group >= k_last and slot == shape.kept - 1
                code |= LAST if last else 0
                _issue_round(
                    steps,
                    code,
                    used,
                    shape.interleave,
                    shape.round_clocks,
                    0,
                    shape.rows * tile_width,
                    entry,
                    group - k_first,
                )
                entry += 1
        units[count] = steps[4][0] - before
        count += 1
        k = end
    return _trimmed(steps, units[:count].copy())


@njit(cache=True)
def _Steps(
    capacity: int,
) -> tuple[npt.NDArray[np.int32], Numbers, npt.NDArray[np.int32], npt.NDArray[np.int8], Numbers]:
    """Growing columns of an issue sequence; the last array holds their common length."""
    return (
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int64),
        np.zeros(capacity, np.int32),
        np.zeros(capacity, np.int8),
        np.zeros(1, np.int64),
    )


@njit(cache=True)
def _issue_round(
    steps: tuple[
        npt.NDArray[np.int32], Numbers, npt.NDArray[np.int32], npt.NDArray[np.int8], Numbers
    ],
    code: int,
    used: int,
    interleave: int,
    round_clocks: int,
    first_row: int,
    row_stride: int,
    entry: int,
    column: int = 0,
) -> None:
    """One round: `used` issues to different accumulators, then bubbles."""
    operation, block, stream, cause, length = steps
    for i in range(round_clocks):
        at = length[0]
        length[0] += 1
        if i < used:
            operation[at] = code | (i << ACC_SHIFT)
            block[at] = (first_row + i) * row_stride + column
            stream[at] = entry
            cause[at] = BUSY
        elif i < interleave:
            cause[at] = IMBALANCE
        else:
            cause[at] = DEPENDENCY


@njit(cache=True)
def _trimmed(
    steps: tuple[
        npt.NDArray[np.int32], Numbers, npt.NDArray[np.int32], npt.NDArray[np.int8], Numbers
    ],
    units: Numbers,
) -> IssueSequence:
    operation, block, stream, cause, length = steps
    end = length[0]
    while operation[end - 1] == 0:
        end -= 1
    units[-1] -= length[0] - end
    return IssueSequence(operation[:end], block[:end], stream[:end], cause[:end], units)
