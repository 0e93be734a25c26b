"""Timing of one pass of the array: lengths that depend on the machine alone (docs/sat.md)."""

from __future__ import annotations

from typing import NamedTuple

from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec

WS = 0
OS = 1
DATAFLOW_NAMES = ("ws", "os")

#: Columns of a pass outcome: clocks by cause, then words read from the activation buffer.
BUSY, DEPENDENCY, INPUT, BANK_CONFLICT, IMBALANCE, FILL_DRAIN, WORDS = range(7)
OUTCOME_COLUMNS = 7


class PassShape(NamedTuple):
    """What the pass kernels need to know of machine and problem; plain integers."""

    dataflow: int
    transposed: int
    rows: int
    cols: int
    kept: int
    group: int
    interleave: int
    round_clocks: int  # clocks of one round: interleave issues, then bubbles
    mul_latency: int
    add_latency: int
    row_skew: int  # steps by which array row r lags row r - 1
    load: int  # steps to load the stationary weights
    word_elements: int
    banks: int
    tile_k: int  # reduction length that one weight-stationary pass covers
    tile_m: int  # result rows that one output-stationary pass covers


def pass_shape(spec: SatSpec, problem: Problem, dataflow: int) -> PassShape:
    """Derive the pass constants of `problem` on `spec` under a dataflow (WS or OS)."""
    round_clocks = spec.round_clocks
    skew = (problem.kept - 1) * round_clocks + spec.add_latency if dataflow == WS else 1
    return PassShape(
        dataflow=dataflow,
        transposed=int(problem.transposed),
        rows=spec.rows,
        cols=spec.cols,
        kept=problem.kept,
        group=problem.group,
        interleave=spec.interleave,
        round_clocks=round_clocks,
        mul_latency=spec.mul_latency,
        add_latency=spec.add_latency,
        row_skew=skew,
        load=spec.rows * problem.kept if dataflow == WS else 0,
        word_elements=max(1, spec.act_bank_bytes // 2),
        banks=spec.act_banks,
        tile_k=spec.rows * problem.group,
        tile_m=spec.rows * spec.interleave,
    )
