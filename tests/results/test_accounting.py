"""Busy plus stalls is the whole, on every operator and engine, or there is no result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsesim.errors import CheckError
from sparsesim.results import STALL_CAUSES, EngineResult, RunResult, write_folder
from tests.reports.synthetic_runs import operator, run_result

COUNTS = st.integers(0, 1000)


def sound() -> RunResult:
    first = operator("a.FF", "a", "FF", busy=10, stalls={"memory": 5}, macs_dense=40)
    second = operator("b.FF", "b", "FF", start=15, busy=7, stalls={"idle": 2})
    return run_result([first, second])


def with_operator(**changes: Any) -> RunResult:
    result = sound()
    return replace(result, operators=[replace(result.operators[0], **changes), result.operators[1]])


def stalls(**counts: int) -> dict[str, int]:
    return {**dict.fromkeys(STALL_CAUSES, 0), **counts}


@given(busy=COUNTS, counts=st.fixed_dictionaries(dict.fromkeys(STALL_CAUSES, COUNTS)))
def test_what_adds_up_is_accepted(busy: int, counts: dict[str, int]) -> None:
    result = run_result([operator("a.FF", "a", "FF", busy=busy, stalls=counts)])
    result.check_accounting()
    assert result.total_cycles == busy + sum(counts.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"busy_cycles": 11},
        {"end_cycle": 16},
        {"start_cycle": 1},
        {"stall_cycles": stalls(memory=4)},
        {"busy_cycles": -5, "stall_cycles": stalls(memory=20)},
        {"busy_cycles": 16, "stall_cycles": stalls(memory=-1)},
        {"stall_cycles": {"memory": 5}},
        {"stall_cycles": {}, "busy_cycles": 15},
        {"engine": "sorter"},
        {"start_cycle": -1, "end_cycle": 14},
        {"start_cycle": 20, "end_cycle": 35},
        {"stall_cycles": {**stalls(memory=5), "weather": 0}},
    ],
)
def test_an_operator_that_does_not_add_up(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckError, match=r"operator 'a\.FF'"):
        with_operator(**changes).check_accounting()


@pytest.mark.parametrize(
    "engine",
    [
        EngineResult(17, stalls(memory=5, idle=1)),
        EngineResult(18, stalls(memory=5, idle=2)),
        EngineResult(18, stalls(memory=5, idle=1)),
        EngineResult(-1, stalls(idle=25)),
        EngineResult(17, stalls(memory=-3, idle=10)),
        EngineResult(17, {"memory": 5, "idle": 2}),
    ],
)
def test_an_engine_that_does_not_add_up(engine: EngineResult) -> None:
    result = sound()
    result = replace(result, engines={**result.engines, "array": engine})
    with pytest.raises(CheckError, match="engine 'array'"):
        result.check_accounting()


def test_nothing_is_written_of_a_result_that_does_not_add_up(tmp_path: Path) -> None:
    with pytest.raises(CheckError):
        write_folder(with_operator(busy_cycles=11), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
