"""Do whole traces give one result in both fidelities, and does it add up and survive storage?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.errors import CheckError, InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.lowering import lower
from sparsesim.machines.sat.steps import Step
from sparsesim.results.folder import read_folder, write_folder
from sparsesim.results.record import RunResult
from sparsesim.simulate import run
from sparsesim.trace import NM, Dense, Elementwise, Pattern, Trace
from sparsesim.trace.operators import Operator
from tests.machines.sat.gemm_operators import convolution, gemm, trace_of

SMALL: dict[str, Any] = {
    "rows": 4, "cols": 4, "m_max": 8, "n_max": 2, "act_banks": 4, "act_bank_bytes": 4,
    "act_buffer_bytes": 4096, "weight_buffer_bytes": 4096, "out_buffer_bytes": 4096,
    "vector_lanes": 2, "vector_buffer_bytes": 256, "sorter_lanes": 2, "sorter_buffer_bytes": 256,
    "update_lanes": 2, "update_buffer_bytes": 256,
}  # fmt: skip


def vector(name: str, function: str, elements: int, deps: tuple[str, ...]) -> Elementwise:
    return Elementwise(
        name=name, layer=name, phase="FF", deps=deps, function=function, elements=elements,
        inputs=("a",), outputs=("c",),
    )  # fmt: skip


def update(name: str, elements: int, deps: tuple[str, ...]) -> Elementwise:
    return Elementwise(
        name=name, layer=name, phase="WU", deps=deps, function="sgd_momentum", elements=elements,
        inputs=("a", "c"), outputs=("b",),
    )  # fmt: skip


@st.composite
def training_traces(draw: st.DrawFn) -> Trace:
    """Forward, backward and update GEMMs of a few layers with element-wise work between them."""
    operators: list[Operator] = []
    patterns: list[Pattern] = [Dense(), NM(n=2, m=4), NM(n=1, m=8), NM(n=2, m=8)]
    pattern = draw(st.sampled_from(patterns))
    batch = draw(st.integers(1, 3))
    for layer in range(draw(st.integers(1, 2))):
        before = operators[-1].name if operators else None
        channels, filters = 8 * draw(st.integers(1, 2)), draw(st.integers(1, 12))
        if draw(st.booleans()):
            size, kernel = draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))
            stride, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
            shape = (batch, size, channels, filters, kernel, stride)
            forward = convolution(*shape, name=f"ff{layer}", b=pattern, groups=groups)
            gradient = convolution(*shape, name=f"wu{layer}", weight_update=True, groups=groups)
        else:
            forward = gemm(batch, filters, channels, name=f"ff{layer}", b=pattern)
            gradient = gemm(channels, filters, batch, name=f"wu{layer}", phase="WU")
        forward = forward.model_copy(update={"deps": (before,) if before else ()})
        function = draw(st.sampled_from(["relu", "batch_norm", "softmax"]))
        operators += [
            forward,
            vector(f"act{layer}", function, draw(st.integers(1, 200)), (forward.name,)),
            vector(f"add{layer}", "add", draw(st.sampled_from([50, 200])), (f"act{layer}",)),
            gemm(
                batch, channels, 8, name=f"bp{layer}", phase="BP", a=pattern,
                deps=(forward.name,),
            ),
            gradient.model_copy(update={"deps": (f"bp{layer}",)}),
            update(f"sgd{layer}", draw(st.integers(1, 200)), (gradient.name,)),
        ]  # fmt: skip
    return trace_of(*operators, elements=draw(st.integers(1, 500)))


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "dram_bandwidth": draw(st.sampled_from([0.2e9, 2e9, 76.8e9])),
        "dram_channels": draw(st.sampled_from([1, 4])),
        "interleave": draw(st.sampled_from([1, 4, 5])),
        "fusion": draw(st.sampled_from(["none", "elementwise", "drain"])),
        "weight_reduction": draw(st.sampled_from(["pregenerated", "online"])),
    }


@given(training_traces(), options())
@settings(max_examples=60, deadline=None)
def test_fast_equals_stepped_for_whole_traces(trace: Trace, chosen: dict[str, Any]) -> None:
    machine = load_machine("sat", SMALL | chosen)
    fast, stepped = run(trace, machine), run(trace, machine, fidelity="stepped")
    assert (fast.fidelity, stepped.fidelity) == ("fast", "stepped")
    assert fast.operators == stepped.operators
    assert fast.engines == stepped.engines
    assert fast.total_cycles == stepped.total_cycles
    check_identities(lower(trace, machine.spec), fast)


def check_identities(steps: list[Step], result: RunResult) -> None:
    ends = {op.operator: op.end_cycle for op in result.operators}
    starts = {op.operator: op.start_cycle for op in result.operators}
    assert {name.partition("@")[0] for name in ends} == {step.name for step in steps}
    assert result.total_cycles == max(ends.values())
    for step in steps:
        assert starts[step.name] >= max((ends[dep] for dep in step.deps), default=0)
    for name in ends:  # what a further engine does, it does at the same time
        whole = name.partition("@")[0]
        assert (starts[name], ends[name]) == (starts[whole], ends[whole])
    for op in result.operators:
        assert op.cycles == op.busy_cycles + sum(op.stall_cycles.values())
        assert min(op.stall_cycles.values()) >= 0
        assert 0 <= op.macs_effective <= op.macs_dense
        assert op.macs_effective <= 16 * op.cycles
    for name, engine in result.engines.items():
        assert engine.cycles == result.total_cycles
        on_it = [op for op in result.operators if op.engine == name]
        assert engine.busy_cycles == sum(op.busy_cycles for op in on_it)
        assert engine.stall_cycles["idle"] == result.total_cycles - sum(op.cycles for op in on_it)
    summary = result.summary()
    assert summary["dram_bytes"] == sum(op.dram_bytes for op in result.operators)
    assert summary["energy_j"] == pytest.approx(
        1e-12 * sum(sum(op.energy_pj.values()) for op in result.operators)
    )


def small_trace() -> Trace:
    return trace_of(
        convolution(1, 4, 8, 8, 3, name="conv", b=NM(n=2, m=8)),
        vector("relu", "relu", 64, ("conv",)),
        gemm(16, 8, 8, name="next", deps=("relu",)),
    )


def test_contention_is_counted_as_memory_stall() -> None:
    machine = load_machine("sat", SMALL | {"dram_bandwidth": 0.2e9})
    product = gemm(64, 8, 64, name="product")
    alone = run(trace_of(product, elements=2000), machine)
    both = run(trace_of(product, vector("relu", "relu", 2000, ()), elements=2000), machine)
    before = alone.operators[0]
    after = next(op for op in both.operators if op.operator == "product")
    extra = after.cycles - before.cycles
    assert extra > 0
    assert after.stall_cycles["memory"] == before.stall_cycles["memory"] + extra
    assert after.bytes == before.bytes
    assert after.energy_pj == before.energy_pj
    assert both.total_cycles <= sum(op.cycles for op in both.operators)


def test_engines_overlap_where_the_dram_allows_it() -> None:
    machine = load_machine("sat", SMALL | {"dram_bandwidth": 1e14, "dram_latency": 0})
    operators = gemm(64, 8, 64, name="product"), vector("relu", "relu", 2000, ())
    both = run(trace_of(*operators, elements=2000), machine)
    assert both.total_cycles <= max(op.cycles for op in both.operators) + 1


def test_seed_changes_the_checked_values_and_nothing_else(tmp_path: Path) -> None:
    machine = load_machine("sat", SMALL)
    first, again, other = (run(small_trace(), machine, check=True, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.check is not None
    assert other.check is not None
    assert first.operators == other.operators
    assert first.check["passes_checked"] == other.check["passes_checked"]
    error = "largest_relative_error_to_float64"
    assert first.check["operators"]["conv"][error] != other.check["operators"]["conv"][error]
    write_folder(first, tmp_path / "run")
    assert (tmp_path / "run" / "check.json").is_file()


def test_result_folder_round_trip(tmp_path: Path) -> None:
    result = run(small_trace(), "sat", overrides=SMALL)
    write_folder(result, tmp_path / "run")
    stored = read_folder(tmp_path / "run")
    assert stored.summary == result.summary()
    assert list(stored.operators["operator"]) == [op.operator for op in result.operators]
    for column, value in (
        ("cycles", [op.cycles for op in result.operators]),
        ("stall_memory_cycles", [op.stall_cycles["memory"] for op in result.operators]),
        ("dram_a_read_bytes", [op.bytes["dram_a_read"] for op in result.operators]),
    ):
        assert list(stored.operators[column]) == value


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[int, int]] = []
    run(small_trace(), "sat", overrides=SMALL, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"machine": "sat", "fidelity": "exact"}, "fidelity: 'exact', allowed: fast, stepped"),
        ({"machine": "st"}, "unknown machine 'st'"),
        ({"machine": load_machine("sat"), "overrides": {"rows": 4}}, "overrides need"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        run(small_trace(), **arguments)
    assert "\n" not in str(caught.value)


def test_parts_that_do_not_add_up_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from sparsesim.machines.sat import model

    right = model.simulate_operators

    def faulty(*arguments: Any) -> Any:
        return [replace(time, busy_cycles=time.busy_cycles + 1) for time in right(*arguments)]

    monkeypatch.setattr(model, "simulate_operators", faulty)
    with pytest.raises(CheckError, match="accounting: operator 'conv'"):
        run(small_trace(), "sat", overrides=SMALL)
