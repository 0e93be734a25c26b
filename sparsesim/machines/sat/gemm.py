"""A whole GEMM on the array: blocks against DRAM, passes inside blocks, in either fidelity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.blocks import BlockSteps, block_steps, column_tiles
from sparsesim.machines.sat.fast import block_outcome, row_period
from sparsesim.machines.sat.im2col import ELEMENT_BYTES
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.operands import zero_operands
from sparsesim.machines.sat.passes import (
    BANK_CONFLICT,
    BUSY,
    DEPENDENCY,
    FILL_DRAIN,
    IMBALANCE,
    INPUT,
    OUTCOME_COLUMNS,
    WORDS,
    WS,
    PassShape,
    pass_shape,
)
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.schedule import PARTIAL_SUM_BYTES, Schedule
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.stepped import run_pass
from sparsesim.machines.sat.streaming import transfers

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EngineTime:
    """Clocks of an engine on one operator: busy + stalls = total; bytes by level and stream."""

    total_cycles: int
    busy_cycles: int
    stall_cycles: dict[str, int]
    dram_cycles: int
    bytes: dict[str, int]


def simulate_gemm(problem: Problem, schedule: Schedule, spec: SatSpec, fidelity: str) -> EngineTime:
    """Simulate a scheduled GEMM with exclusive use of the DRAM bandwidth.

    Args:
        fidelity: ``fast`` or ``stepped``; both give the same result.
    """
    shape = pass_shape(spec, problem, schedule.dataflow)
    steps = block_steps(problem, schedule)
    outcomes = _step_outcomes(shape, problem, steps, fidelity)
    load = steps.a_bytes + steps.b_bytes + steps.metadata_bytes
    total, wait_output, wait_memory, dram = transfers(
        load, outcomes[:, :WORDS].sum(axis=1), steps.store_bytes, spec, fidelity
    )
    clocks = outcomes.sum(axis=0)
    return EngineTime(
        total_cycles=total,
        busy_cycles=int(clocks[BUSY]),
        stall_cycles={
            "dependency": int(clocks[DEPENDENCY]),
            "input": int(clocks[INPUT]),
            "output": wait_output,
            "bank_conflict": int(clocks[BANK_CONFLICT]),
            "memory": wait_memory,
            "imbalance": int(clocks[IMBALANCE]),
            "fill_drain": int(clocks[FILL_DRAIN]),
            "idle": 0,
        },
        dram_cycles=dram,
        bytes=_bytes(shape, problem, steps, spec, int(clocks[WORDS])),
    )


def block_passes(shape: PassShape, m: tuple[int, int], k: tuple[int, int]) -> Iterator[Region]:
    """The passes of one block for one tile of columns, in order."""
    if shape.dataflow == WS:
        for first in range(k[0], k[1], shape.tile_k):
            yield Region(*m, first, min(first + shape.tile_k, k[1]))
    else:
        for first in range(m[0], m[1], shape.tile_m):
            yield Region(first, min(first + shape.tile_m, m[1]), *k)


def _step_outcomes(
    shape: PassShape, problem: Problem, steps: BlockSteps, fidelity: str
) -> npt.NDArray[np.int64]:
    """Outcome of every block step, shape (S, OUTCOME_COLUMNS)."""
    tiles = np.array([column_tiles(span, shape.cols) for span in steps.n_spans])
    if fidelity == "stepped":
        rows = [
            _stepped_block(shape, problem, steps.m_spans[m], steps.k_spans[k], tiles[n])
            for m, k, n in zip(steps.m, steps.k, steps.n, strict=True)
        ]
        return np.array(rows)
    # The same block serves every tile of columns: timing does not depend on which.
    once = np.zeros((len(steps.m_spans), len(steps.k_spans), OUTCOME_COLUMNS), np.int64)
    period = row_period(shape, problem.image)
    known: dict[tuple[int, int, int, int], Numbers] = {}
    for m, m_span in enumerate(steps.m_spans):
        for k, k_span in enumerate(steps.k_spans):
            if problem.transposed:
                at = (*m_span, k_span[0] % period, k_span[1] - k_span[0])
            else:
                at = (m_span[0] % period, m_span[1] - m_span[0], *k_span)
            if at not in known:
                known[at] = block_outcome(shape, problem.image, Region(*m_span, *k_span))
            once[m, k] = known[at]
    return once[steps.m, steps.k] * tiles[steps.n, np.newaxis]


def _stepped_block(
    shape: PassShape,
    problem: Problem,
    m: tuple[int, int],
    k: tuple[int, int],
    tiles: int,
) -> Numbers:
    total = np.zeros(OUTCOME_COLUMNS, np.int64)
    for _ in range(tiles):
        for region in block_passes(shape, m, k):
            outcome, _sums = run_pass(shape, problem.image, region, *zero_operands(shape, region))
            total += outcome
    return total


def _bytes(
    shape: PassShape, problem: Problem, steps: BlockSteps, spec: SatSpec, words: int
) -> dict[str, int]:
    """Bytes by level and stream; what a partly filled pass moves for nothing is counted."""
    tiles = np.array([column_tiles(span, shape.cols) for span in steps.n_spans])[steps.n]
    m_length = np.array([last - first for first, last in steps.m_spans])[steps.m]
    k_length = np.array([last - first for first, last in steps.k_spans])[steps.k]
    if shape.dataflow == WS:
        passes = -(-k_length // shape.tile_k) * tiles
        weights = int((passes * shape.load).sum()) * shape.cols
        partial_sums = int((passes * m_length).sum()) * shape.cols
    else:
        entries = -(-k_length // shape.group) * shape.kept
        weights = int((-(-m_length // shape.tile_m) * tiles * entries).sum()) * shape.cols
        rows = -(-m_length // shape.rows) * shape.rows
        partial_sums = int((rows * tiles).sum()) * shape.cols
    macs = problem.macs_effective
    return {
        "dram_a_read": int(steps.a_bytes.sum()),
        "dram_b_read": int(steps.b_bytes.sum()),
        "dram_metadata_read": int(steps.metadata_bytes.sum()),
        "dram_output_write": int(steps.store_bytes.sum()),
        "scratchpad_fill_write": int((steps.a_bytes + steps.b_bytes + steps.metadata_bytes).sum()),
        "scratchpad_a_read": words * spec.act_bank_bytes,
        "scratchpad_b_read": weights * ELEMENT_BYTES,
        "scratchpad_metadata_read": -(-weights * problem.index_bits // 8),
        # Partial sums are read back, and whole results on their way to the DRAM.
        "scratchpad_output_read": partial_sums * PARTIAL_SUM_BYTES
        + int(steps.store_bytes.sum()) // ELEMENT_BYTES * PARTIAL_SUM_BYTES,
        "scratchpad_output_write": partial_sums * PARTIAL_SUM_BYTES,
        # Per MAC: two FP16 operands and the addend read; the sum and the passed block written.
        "register_read": macs * (2 * ELEMENT_BYTES + PARTIAL_SUM_BYTES),
        "register_write": macs * PARTIAL_SUM_BYTES
        + macs * ELEMENT_BYTES * problem.group // problem.kept,
    }
