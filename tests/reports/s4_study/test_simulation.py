"""What the study simulates: patterns without masks, and clocks by limit."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from reports.s4_study.cases import GROUP, SPARSITIES, Case
from reports.s4_study.simulation import (
    LIMITS,
    captured,
    clocks_by_limit,
    simulate_case,
    sparse,
)
from sparsesim.simulate import run
from sparsesim.trace import Balanced, Gemm
from tests.reports.s4_study.small_network import SOURCE
from workloads.extract import extract

CASE = Case(SOURCE, 4, "small", "tiny")


@pytest.mark.parametrize("sparsity", [2, 8, 32])
@pytest.mark.parametrize("source", [SOURCE, "minilm"])
def test_a_pattern_without_masks_takes_the_clocks_of_real_masks(source: str, sparsity: int) -> None:
    real = extract(source, prune=f"balanced:{sparsity}", phase="inference", batch=4)
    stated = sparse(captured(Case(source, 4, source)), sparsity)
    patterns = [
        {op.name: op.b.pattern for op in trace.operators if isinstance(op, Gemm)}
        for trace in (real, stated)
    ]
    assert patterns[0] == patterns[1]
    assert Balanced(group=GROUP, kept=GROUP // sparsity) in patterns[0].values()
    assert run(real, "s4").operators == run(stated, "s4").operators


@pytest.mark.parametrize("sparsity", [1, 16])
def test_clocks_by_limit_add_up_to_the_run(sparsity: int) -> None:
    trace = sparse(captured(CASE), sparsity)
    result = run(trace, "s4")
    clocks = clocks_by_limit(trace, result)
    assert tuple(clocks) == LIMITS
    assert sum(clocks.values()) == result.total_cycles
    assert all(count >= 0 for count in clocks.values())
    assert bool(clocks["sparse products"]) == (sparsity > 1)
    assert clocks["dense layers"] > 0


def test_rows_of_a_case() -> None:
    rows = simulate_case(CASE)
    assert [(row["machine"], row["sparsity"]) for row in rows] == [
        *(("s4", sparsity) for sparsity in SPARSITIES),
        ("t4", 1), ("a100", 1), ("systolic", 1), ("a100", 2),
    ]  # fmt: skip
    for row in rows:
        assert row["samples_per_second"] > 0
        assert row["energy_mj_per_sample"] > 0
