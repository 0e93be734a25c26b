"""The generated FP16 multiplier and FP32 adder equal NumPy in every bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.hw.float_operands import half_pairs, products, single_pairs, sums

pytest.importorskip("amaranth")

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_adder import Fp32Adder
from hw.arith.fp16_multiplier import Fp16Multiplier
from hw.component_ports import port_values
from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.verilog import verilog_of

ADD_LATENCIES = (1, 2, 3, 4)
MUL_LATENCIES = (1, 2)


class Operators(wiring.Component):
    """All latencies side by side; each adder is followed by its user's register."""

    def __init__(self):
        super().__init__(
            {
                **{name: In(32) for name in ("x", "y")},
                **{name: In(16) for name in ("a", "b")},
                **{f"total_{latency}": Out(32) for latency in ADD_LATENCIES},
                **{f"product_{latency}": Out(32) for latency in MUL_LATENCIES},
            }
        )

    def elaborate(self, _platform):
        m = Module()
        for latency in ADD_LATENCIES:
            m.submodules[f"adder_{latency}"] = adder = Fp32Adder(latency)
            m.d.comb += [adder.x.eq(self.x), adder.y.eq(self.y)]
            m.d.sync += getattr(self, f"total_{latency}").eq(adder.total)
        for latency in MUL_LATENCIES:
            m.submodules[f"multiplier_{latency}"] = multiplier = Fp16Multiplier(latency)
            m.d.comb += [multiplier.x.eq(self.a), multiplier.y.eq(self.b)]
            m.d.comb += getattr(self, f"product_{latency}").eq(multiplier.product)
        return m


def assert_equals_numpy(simulation, pairs, seed):
    """One pair per clock through every operator; results are due `latency` clocks later."""
    x, y = single_pairs(pairs, seed)
    a, b = half_pairs(pairs, seed)
    clocks = min(len(x), len(a))
    x, y, a, b = (operand[:clocks] for operand in (x, y, a, b))
    rows = simulation.run(simulation.inputs.pack({"x": x, "y": y, "a": a, "b": b}, clocks))
    seen = simulation.outputs.unpack(rows, {})
    for name, latencies, golden in (
        ("total", ADD_LATENCIES, sums(x, y)),
        ("product", MUL_LATENCIES, products(a, b)),
    ):
        for latency in latencies:
            wrong = np.flatnonzero(seen[f"{name}_{latency}"][latency:] != golden[:-latency])
            assert not len(wrong), (
                f"{name}, latency {latency}: {len(wrong)} wrong, first for "
                f"{x[wrong[0]]:#010x}, {y[wrong[0]]:#010x} / {a[wrong[0]]:#06x}, {b[wrong[0]]:#06x}"
            )


@pytest.fixture(scope="module")
def verilated():
    if missing := missing_tool():
        pytest.skip(f"{missing} is not installed")
    bench = Operators()
    with VerilatorSimulation(
        verilog_of(bench, "operators"), "operators", list(port_values(bench))
    ) as made:
        yield made


def test_amaranth_simulation_equals_numpy():
    simulation = AmaranthSimulation(Operators())
    assert_equals_numpy(simulation, pairs=1500, seed=1)


def test_emitted_verilog_equals_numpy_on_two_million_pairs(verilated):
    for seed in range(4):
        assert_equals_numpy(verilated, pairs=500_000, seed=seed)


@pytest.mark.slow
def test_emitted_verilog_equals_numpy_on_a_hundred_million_pairs(verilated):
    for seed in range(100, 200):
        assert_equals_numpy(verilated, pairs=1_000_000, seed=seed)


@pytest.mark.parametrize("latency", [0, 5])
def test_adder_refuses_other_latencies(latency):
    with pytest.raises(ValueError, match="latency must be 1 to 4"):
        Fp32Adder(latency)


@pytest.mark.parametrize("latency", [0, 3])
def test_multiplier_refuses_other_latencies(latency):
    with pytest.raises(ValueError, match="latency must be 1 or 2"):
        Fp16Multiplier(latency)
