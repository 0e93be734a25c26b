"""Do dense pass clocks differ from another systolic simulator's only by terms we can name?

The other simulator is SCALE-Sim 3.0.0, stall-free, 32 x 32 array. Its counts are copied below:
"reported" is what it printed for a run, one less than its closed form (the last cycle's index).
Run this file as a program to print the table of docs/systolic-cross-check.md.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import pytest

from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.fast import block_outcome, flush_clocks
from sparsesim.machines.sat.im2col import matrix
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.passes import (
    DATAFLOW_NAMES,
    INPUT,
    OS,
    WORDS,
    WS,
    PassShape,
    pass_shape,
)
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec

DOCUMENT = Path(__file__).parents[3] / "docs" / "systolic-cross-check.md"
SIDE = 32

Shape = tuple[int, int, int]  # M, N, K

#: (output pixels, filters, reduction) of every layer, 1,814,073,344 multiply-accumulates.
RESNET18: tuple[Shape, ...] = (
    (112 * 112, 64, 3 * 49),
    *[(56 * 56, 64, 64 * 9)] * 4,
    (28 * 28, 128, 64 * 9),
    (28 * 28, 128, 64),
    *[(28 * 28, 128, 128 * 9)] * 3,
    (14 * 14, 256, 128 * 9),
    (14 * 14, 256, 128),
    *[(14 * 14, 256, 256 * 9)] * 3,
    (7 * 7, 512, 256 * 9),
    (7 * 7, 512, 256),
    *[(7 * 7, 512, 512 * 9)] * 3,
    (1, 1000, 512),
)

#: workload, shapes, dataflow, the other simulator's count by closed form, and what it reported.
WORKLOADS: tuple[tuple[str, tuple[Shape, ...], int, int, int | None], ...] = (
    ("GEMM 1024 x 1024 x 1024", ((1024, 1024, 1024),), WS, 1_144_832, 1_144_831),
    ("GEMM 1024 x 1024 x 1024", ((1024, 1024, 1024),), OS, 1_112_064, 1_112_063),
    ("GEMM 256 x 256 x 256", ((256, 256, 256),), WS, 22_400, 22_399),
    ("ResNet-18", RESNET18, WS, 2_855_052, None),
    ("ResNet-18", RESNET18, OS, 2_133_336, None),
)


def theirs(shape: Shape, dataflow: int) -> int:
    """The other simulator's closed form for one layer on a 32 x 32 array."""
    m, n, k = shape
    if dataflow == WS:
        return ceil(k / SIDE) * ceil(n / SIDE) * (m + 3 * SIDE - 2)
    return ceil(m / SIDE) * ceil(n / SIDE) * (k + 2 * SIDE - 2)


def machine(**changes: Any) -> SatSpec:
    return load_machine("sat", changes).spec


def pass_shape_of(spec: SatSpec, shape: Shape, dataflow: int) -> tuple[PassShape, Problem]:
    m, n, k = shape
    problem = Problem(m, n, k, 1, matrix(m, k), False, 1, 1, 0)
    return pass_shape(spec, problem, dataflow), problem


def ours(spec: SatSpec, shape: Shape, dataflow: int) -> int:
    """Clocks of all passes of a dense GEMM, operands on chip, nothing of the DRAM."""
    constants, problem = pass_shape_of(spec, shape, dataflow)
    m, n, k = shape
    clocks = block_outcome(constants, problem.image, Region(0, m, 0, k))[:WORDS].sum()
    return int(clocks) * ceil(n / spec.cols)


def difference(spec: SatSpec, shape: Shape, dataflow: int) -> dict[str, int]:
    """Ours minus theirs, term by term; nothing here looks at a simulated number."""
    m, n, k = shape
    add, interleave = spec.add_latency, spec.interleave
    columns = ceil(n / SIDE)
    if dataflow == WS:
        folds = ceil(k / SIDE) * columns
        return {
            "adder in the chain of partial sums": folds * (SIDE - 1) * (add - 1),
            "multiplier": folds * spec.mul_latency,
            "last sum and accumulation": folds * 2 * add,
        }
    tiles = [min(interleave, ceil((m - first) / SIDE)) for first in range(0, m, SIDE * interleave)]
    passes = len(tiles) * columns
    empty = sum(spec.round_clocks - used for used in tiles) * columns
    return {
        # `used` tiles of theirs share a pass, and with it one fill of the array.
        "interleaved tiles share a fill": -(sum(tiles) * columns - passes) * (2 * SIDE - 2),
        "accumulators left empty": empty * (k - 1),
        "drain of the results": sum(tiles) * columns * SIDE,
        "first fetch": first_fetch(spec, m) * columns,
        "multiplier": passes * spec.mul_latency,
        "last sum and accumulation": passes * 2 * add,
    }


def first_fetch(spec: SatSpec, m: int) -> int:
    """Clocks before the first issue of all OS passes of a column: 32 pixels at a time.

    With a bank per row, a word of each of 32 neighbouring pixels takes one clock.
    """
    assert spec.act_banks == SIDE
    return sum(
        min(spec.interleave, ceil((m - first) / SIDE))
        for first in range(0, m, SIDE * spec.interleave)
    )


def test_copied_numbers_agree_with_the_closed_forms() -> None:
    assert sum(m * n * k for m, n, k in RESNET18) == 1_814_073_344
    for _name, shapes, dataflow, count, reported in WORKLOADS:
        assert sum(theirs(shape, dataflow) for shape in shapes) == count
        assert reported in (None, count - 1)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: f"{w[0]} {DATAFLOW_NAMES[w[2]]}")
def test_every_clock_of_the_difference_has_a_name(
    workload: tuple[str, tuple[Shape, ...], int, int, int | None],
) -> None:
    spec = machine()
    _name, shapes, dataflow, count, _reported = workload
    named = sum(sum(difference(spec, shape, dataflow).values()) for shape in shapes)
    assert sum(ours(spec, shape, dataflow) for shape in shapes) == count + named


@pytest.mark.parametrize("shape", [(1024, 1024, 1024), (49, 512, 4608), (7, 33, 65), (1, 1, 1)])
@pytest.mark.parametrize("mul_latency", [1, 2])
def test_without_adder_pipeline_only_constants_remain(shape: Shape, mul_latency: int) -> None:
    """add_latency = interleave = 1: a WS fold is M + 2R + C - 2 plus the pipeline's constants."""
    spec = machine(add_latency=1, interleave=1, mul_latency=mul_latency)
    m, n, k = shape
    folds = ceil(k / SIDE) * ceil(n / SIDE)
    assert ours(spec, shape, WS) == folds * (m + 3 * SIDE - 2 + mul_latency + 2)
    tiles = ceil(m / SIDE) * ceil(n / SIDE)
    # OS: they do not count the drain of the rows, and have the first operands at once.
    conflicts = int(block_stalls(spec, shape)) * ceil(n / SIDE)
    constants = SIDE + mul_latency + 2
    assert ours(spec, shape, OS) == tiles * (k + 2 * SIDE - 2 + constants) + conflicts


def block_stalls(spec: SatSpec, shape: Shape) -> int:
    constants, problem = pass_shape_of(spec, shape, OS)
    m, _n, k = shape
    return int(block_outcome(constants, problem.image, Region(0, m, 0, k))[INPUT])


def test_flush_is_what_the_document_says() -> None:
    spec = machine()
    ws, _ = pass_shape_of(spec, (64, 64, 64), WS)
    assert flush_clocks(ws, 0) == 31 * 4 + 31 + 2 + 8
    os, _ = pass_shape_of(spec, (64, 64, 64), OS)
    assert flush_clocks(os, 2) == 2 * 32 + 31 + 31 + 2 + 8


def table() -> str:
    """Tables of docs/systolic-cross-check.md."""
    spec = machine()
    lines = [
        "| workload | dataflow | ours | theirs | difference | relative |",
        "|---|---|---:|---:|---:|---:|",
    ]
    terms: list[str] = ["| workload | dataflow | why | clocks |", "|---|---|---|---:|"]
    for name, shapes, dataflow, count, _reported in WORKLOADS:
        flow = DATAFLOW_NAMES[dataflow].upper()
        mine = sum(ours(spec, shape, dataflow) for shape in shapes)
        lines.append(
            f"| {name} | {flow} | {mine:,} | {count:,} | {mine - count:+,} "
            f"| {(mine - count) / count:+.1%} |"
        )
        parts = [difference(spec, shape, dataflow) for shape in shapes]
        terms.extend(
            f"| {name} | {flow} | {why} | {sum(part[why] for part in parts):+,} |"
            for why in parts[0]
        )
    return "\n".join([*lines, "", *terms])


def test_document_is_current() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table())
