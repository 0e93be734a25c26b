"""Do sorter and update engine take the clocks of their lanes, and move their bytes?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.sorter import compact_bytes, lane_clocks, simulate_reduction
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.steps import ReductionStep, UpdateStep
from sparsesim.machines.sat.update_engine import engine_clocks, simulate_update
from sparsesim.trace import NM, Elementwise, Tensor

AMPLE: dict[str, Any] = {"dram_bandwidth": 1e15, "dram_latency": 0}


def spec_of(**changes: Any) -> SatSpec:
    spec = load_machine("sat", changes).spec
    assert isinstance(spec, SatSpec)
    return spec


def update_of(elements: int, *reductions: NM, dense_copy: bool = False) -> UpdateStep:
    operator = Elementwise(
        name="w.update", layer="l", phase="WU", function="sgd_momentum", elements=elements,
        inputs=("master", "momentum", "gradient"), outputs=("master", "momentum", "w"),
    )  # fmt: skip
    return UpdateStep(operator, (), dense_copy, reductions)


def tensors_of(elements: int) -> dict[str, Tensor]:
    def tensor(name: str, dtype: Any, role: Any) -> Tensor:
        return Tensor(name=name, shape=(elements,), dtype=dtype, role=role)

    return {
        "master": tensor("master", "float32", "state"),
        "momentum": tensor("momentum", "float32", "state"),
        "gradient": tensor("gradient", "float16", "gradient"),
        "w": tensor("w", "float16", "weight"),
    }


@given(st.integers(1, 300), st.sampled_from([(1, 2), (2, 4), (2, 8), (8, 16)]), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_lane_clocks_are_those_of_the_stepped_lane(
    elements: int, pattern: tuple[int, int], lanes: int
) -> None:
    spec = spec_of(sorter_lanes=lanes)
    nm = NM(n=pattern[0], m=pattern[1])
    assert lane_clocks(elements, nm, spec, "fast") == lane_clocks(elements, nm, spec, "stepped")


@given(st.integers(1, 300), st.integers(1, 5), st.integers(1, 4), st.sampled_from([1, 2]))
@settings(max_examples=50, deadline=None)
def test_engine_clocks_are_those_of_the_stepped_lane(
    elements: int, lanes: int, add_latency: int, mul_latency: int
) -> None:
    spec = spec_of(update_lanes=lanes, add_latency=add_latency, mul_latency=mul_latency)
    for function in ("sgd_momentum", "adam"):
        fast = engine_clocks(elements, function, spec, "fast")
        assert fast == engine_clocks(elements, function, spec, "stepped")


def test_the_sorter_takes_a_value_per_lane_and_clock() -> None:
    step = ReductionStep("s", "l", "FF", 32 * 8 * 1000, NM(n=2, m=8))
    time = simulate_reduction(step, spec_of(**AMPLE), "fast")
    assert time.busy_cycles == 8 * 1000
    assert time.stall_cycles["fill_drain"] == 2
    assert time.total_cycles == time.busy_cycles + sum(time.stall_cycles.values())


def test_compact_copies_are_values_and_indices() -> None:
    assert compact_bytes(8000, NM(n=2, m=8)) == (2 * 2000, 2000 * 3 // 8)
    assert compact_bytes(16, NM(n=1, m=2)) == (2 * 8, 1)


def test_update_reads_state_and_writes_the_copies_that_are_read() -> None:
    elements = 64_000
    spec = spec_of()
    both = NM(n=2, m=8), NM(n=2, m=8)
    compact = simulate_update(update_of(elements, *both), tensors_of(elements), spec, "fast")
    dense = simulate_update(
        update_of(elements, dense_copy=True), tensors_of(elements), spec, "fast"
    )
    assert compact.engine.bytes["dram_a_read"] == 10 * elements
    assert compact.engine.bytes["dram_output_write"] == 8 * elements + 2 * elements // 2
    assert compact.engine.bytes["dram_metadata_write"] == 2 * (elements // 4 * 3 // 8)
    assert dense.engine.bytes["dram_output_write"] == 10 * elements
    assert dense.sorter is None


@pytest.mark.parametrize(("lanes", "waiting"), [(8, "output"), (512, "input")])
def test_the_slower_of_engine_and_sorter_sets_the_pace(lanes: int, waiting: str) -> None:
    elements = 256_000
    spec = spec_of(sorter_lanes=lanes, **AMPLE)
    time = simulate_update(update_of(elements, NM(n=2, m=8)), tensors_of(elements), spec, "fast")
    assert time.sorter is not None
    slow, quick = time.sorter, time.engine
    if waiting == "input":
        slow, quick = quick, slow
    assert slow.busy_cycles == elements // min(lanes, spec.update_lanes)
    assert quick.stall_cycles[waiting] == slow.busy_cycles - quick.busy_cycles
    for part in (slow, quick):
        assert part.total_cycles == time.engine.total_cycles
        assert part.total_cycles == part.busy_cycles + sum(part.stall_cycles.values())
