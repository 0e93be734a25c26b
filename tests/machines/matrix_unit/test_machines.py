"""Comparison engines: closed form == stepped array, 2:4 only where it fits, sound accounting."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.machines.matrix_unit.unit import fast_slice, stepped_slice
from sparsesim.machines.registry import load_machine
from sparsesim.simulate import run
from sparsesim.trace import (
    NM,
    Balanced,
    Dense,
    Elementwise,
    Gemm,
    Manifest,
    Operand,
    Pattern,
    Tensor,
    Trace,
)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12), st.integers(0, 90))
@settings(max_examples=150, deadline=None)
def test_closed_form_equals_stepping_every_pe(rows: int, depth: int, cols: int, load: int) -> None:
    assert fast_slice(rows, depth, cols, load) == stepped_slice(rows, depth, cols, load)


def trace_of(pattern: Pattern) -> Trace:
    """A 4096 x 1024 x 1024 product and a softmax of its result."""
    shapes = {"a": (4096, 1024), "b": (1024, 1024), "c": (4096, 1024), "d": (4096, 1024)}
    product = Gemm(
        name="gemm", layer="gemm", phase="inference", m=4096, n=1024, k=1024,
        a=Operand(tensor="a"), b=Operand(tensor="b", pattern=pattern), output="c",
    )  # fmt: skip
    softmax = Elementwise(
        name="softmax", layer="softmax", phase="inference", deps=("gemm",),
        function="softmax", elements=4096 * 1024, inputs=("c",), outputs=("d",),
    )  # fmt: skip
    tensors = [
        Tensor(name=name, shape=shape, dtype="int8", role="weight" if name == "b" else "activation")
        for name, shape in shapes.items()
    ]
    return Trace(Manifest(name="test", tensors=tensors, operators=(product, softmax)))


@pytest.mark.parametrize("machine", ["t4", "a100", "systolic"])
def test_fast_equals_stepped_and_engines_account_for_every_clock(machine: str) -> None:
    fast, stepped = (run(trace_of(Dense()), machine, fidelity=f) for f in ("fast", "stepped"))
    assert fast.operators == stepped.operators
    assert {op.engine for op in fast.operators} == {"matrix", "vector", "host"}
    macs = sum(op.macs_effective for op in fast.operators)
    peak = fast.machine["peak_macs_per_cycle"]
    assert 0.2 < macs / (peak * fast.engines["matrix"].busy_cycles) <= 1.0


@given(st.integers(1, 200_000), st.sampled_from(["t4", "a100", "systolic"]))
@settings(max_examples=40, deadline=None)
def test_memory_never_makes_element_wise_work_faster(elements: int, machine: str) -> None:
    """With no latency to hide behind, a larger load must not bring its first piece sooner."""
    trace = elementwise(elements)
    op = next(op for op in run(trace, machine, overrides={"dram_latency": 0}).operators
              if op.operator == "norm")  # fmt: skip
    assert min(op.stall_cycles.values()) >= 0


def elementwise(elements: int) -> Trace:
    """A layer norm of `elements` values that come from the host."""
    norm = Elementwise(
        name="norm", layer="norm", phase="inference", function="layer_norm",
        elements=elements, inputs=("x",), outputs=("y",),
    )  # fmt: skip
    tensors = [
        Tensor(name=name, shape=(elements,), dtype="int8", role="activation") for name in "xy"
    ]
    return Trace(Manifest(name="norm", tensors=tensors, operators=(norm,)))


@pytest.mark.parametrize("machine", ["t4", "s4"])
@pytest.mark.parametrize(
    "key", ["clock_hz", "dram_bandwidth", "host_bandwidth", "l2_bytes_per_clock", "dram_efficiency"]
)
@pytest.mark.parametrize("value", [1e-9, 1e30])
def test_rates_beyond_all_hardware_are_refused(machine: str, key: str, value: float) -> None:
    with pytest.raises(InputError, match=key) as caught:
        load_machine(machine, {key: value})
    assert "\n" not in str(caught.value)


def clocks(machine: str, pattern: Pattern) -> int:
    result = run(trace_of(pattern), machine)
    return next(op.busy_cycles for op in result.operators if op.operator == "gemm")


@pytest.mark.parametrize(
    ("machine", "pattern", "gain"),
    [
        ("a100", NM(n=2, m=4), 2.0),
        ("a100", NM(n=1, m=2), 2.0),
        ("a100", NM(n=1, m=4), 2.0),
        ("a100", NM(n=3, m=4), 1.0),
        ("a100", NM(n=2, m=4, axis="n"), 1.0),
        ("a100", Balanced(group=32, kept=2), 1.0),
        ("t4", NM(n=2, m=4), 1.0),
        ("systolic", NM(n=2, m=4), 1.0),
    ],
)
def test_only_2_4_along_the_reduction_helps_and_only_a100(
    machine: str, pattern: Pattern, gain: float
) -> None:
    assert clocks(machine, Dense()) / clocks(machine, pattern) == pytest.approx(gain, rel=0.01)


def test_check_steps_an_array() -> None:
    assert run(trace_of(Dense()), "systolic", check=True).check["slices_checked"] == 1
