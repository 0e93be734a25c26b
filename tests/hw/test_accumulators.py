"""Exact FP16, BF16 and INT8 arithmetic equals NumPy and whole numbers in every bit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.bf16_multiplier import Bf16Multiplier
from hw.arith.exact_accumulator import ExactAccumulator
from hw.arith.float_multiplier import Fp32Multiplier
from hw.arith.fp16_conversion import Fp16ToFp32, Fp32ToFp16
from hw.arith.int8_accumulator import Int8Accumulator
from hw.component_ports import port_values
from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.verilog import verilog_of
from tests.hw.float_operands import half_pairs, product_pairs, single_pairs

QUIET_NAN = np.uint32(0x7FC00000)
#: Products that are summed at most: the limbs below stay within 64 bits.
SEGMENT = 4096
MUL_LATENCIES = (1, 2, 3, 4)


class Arithmetic(wiring.Component):
    """All operators side by side."""

    def __init__(self):
        super().__init__(
            {
                **{name: In(1) for name in ("valid", "first")},
                **{name: In(16) for name in ("a", "b")},
                **{name: In(32) for name in ("x", "y")},
                **{name: Out(32) for name in ("exact", "brain", "whole", "wide")},
                "half": Out(16),
                **{f"product_{latency}": Out(32) for latency in MUL_LATENCIES},
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.exact = exact = ExactAccumulator()
        m.submodules.brain = brain = Bf16Multiplier()
        m.submodules.whole = whole = Int8Accumulator()
        m.submodules.wide = wide = Fp16ToFp32()
        m.submodules.half = half = Fp32ToFp16()
        for unit in (exact, whole):
            m.d.comb += [unit.valid.eq(self.valid), unit.first.eq(self.first)]
        m.d.comb += [
            exact.x.eq(self.a),
            exact.y.eq(self.b),
            self.exact.eq(exact.total),
            brain.x.eq(self.a),
            brain.y.eq(self.b),
            self.brain.eq(brain.product),
            whole.x.eq(self.a[:8]),
            whole.y.eq(self.b[:8]),
            self.whole.eq(whole.total),
            wide.half.eq(self.a),
            self.wide.eq(wide.single),
            half.single.eq(self.x),
            self.half.eq(half.half),
        ]
        for latency in MUL_LATENCIES:
            m.submodules[f"product_{latency}"] = unit = Fp32Multiplier(latency)
            m.d.comb += [unit.x.eq(self.x), unit.y.eq(self.y)]
            m.d.comb += getattr(self, f"product_{latency}").eq(unit.product)
        return m


def canonical(values):
    return np.where(np.isnan(values), QUIET_NAN, values.view(np.uint32))


def segment_sums(values, first):
    """Running sums that start anew where `first` is."""
    sums = np.cumsum(values)
    starts = np.flatnonzero(first)
    return sums - (sums - values)[starts][np.cumsum(first) - 1]


def exact_sums(a, b, first):
    """Sums of FP16 products as whole numbers of 2^-48 in two limbs, rounded once to FP32."""

    def parts(bits):
        exponent = (bits >> 10 & 31).astype(np.int64)
        hidden = (exponent > 0).astype(np.int64) << 10
        return (bits & 0x3FF).astype(np.int64) | hidden, np.maximum(exponent, 1), exponent == 31

    (p, ep, sp), (q, eq, sq) = parts(a), parts(b)
    negative = (a ^ b) >> 15 == 1
    with np.errstate(invalid="ignore", over="ignore"):
        product = a.view(np.float16).astype(np.float32) * b.view(np.float16).astype(np.float32)
    nan, infinite = np.isnan(product), np.isinf(product)
    significand = np.where(sp | sq, 0, p * q)
    shift = ep + eq - 2
    over = np.maximum(shift - 24, 0)  # 22 bits and 24 places fit below 2^48
    high = (significand << over) >> 24
    low = ((significand << over) & 0xFFFFFF) << 24
    low = np.where(shift < 24, significand << np.minimum(shift, 24), low)
    high = np.where(shift < 24, 0, high)
    sign = np.where(negative, -1, 1)
    high, low = segment_sums(sign * high, first), segment_sums(sign * low, first)
    high, low = high + (low >> 48), low & ((1 << 48) - 1)
    minus = high < 0
    # The negative of (high, low), with the borrow from the lower limb.
    high = np.where(minus, -high - (low > 0), high)
    low = np.where(minus & (low > 0), (1 << 48) - low, low)
    small = ((high << 26 | low >> 22) << 1 | (low & 0x3FFFFF != 0)).astype(np.float64) * 2.0**21
    large = (high << 1 | (low != 0)).astype(np.float64) * 2.0**47
    total = np.select([high == 0, high < 1 << 26], [low.astype(np.float64), small], large)
    total = (total * 2.0**-48).astype(np.float32) * np.where(minus, -1, 1).astype(np.float32)
    bits = total.view(np.uint32)
    plus_infinity = segment_sums((infinite & ~negative).astype(np.int64), first) > 0
    minus_infinity = segment_sums((infinite & negative).astype(np.int64), first) > 0
    bits = np.where(plus_infinity, np.uint32(0x7F800000), bits)
    bits = np.where(minus_infinity, np.uint32(0xFF800000), bits)
    invalid = segment_sums(nan.astype(np.int64), first) > 0
    return np.where(invalid | (plus_infinity & minus_infinity), QUIET_NAN, bits)


def brain_products(a, b):
    """BF16 products in FP32 with subnormal operands and results as zeros."""

    def flushed(bits):
        return np.where(bits & 0x7F80 == 0, bits & 0x8000, bits).astype(np.uint32) << 16

    x, y = (flushed(side).astype(np.uint32).view(np.float32) for side in (a, b))
    with np.errstate(all="ignore"):
        exact = x.astype(np.float64) * y.astype(np.float64)
        bits = canonical(exact.astype(np.float32))
    # The smallest normal is a sharp border: exact products below it are flushed.
    return np.where(np.abs(exact) < 2.0**-126, bits & np.uint32(1 << 31), bits)


def fp32_products(x, y):
    with np.errstate(all="ignore"):
        return canonical(x.view(np.float32) * y.view(np.float32))


def halves_of(x):
    with np.errstate(all="ignore"):
        half = x.view(np.float32).astype(np.float16)
    return np.where(np.isnan(half), np.uint16(0x7E00), half.view(np.uint16))


def operands(pairs, seed):
    """Operands of all operators; FP16 ones that cancel, underflow and overflow in stretches."""
    rng = np.random.default_rng(seed)
    x, y = single_pairs(pairs, seed)
    a, b = half_pairs(pairs, seed)
    order = rng.permutation(len(x))[:pairs]
    clocks = len(order)
    x, y, a, b = x[order], y[order], a[:clocks].copy(), b[:clocks].copy()
    # A third of the FP32 pairs are chosen for their product.
    chosen = rng.random(clocks) < 1 / 3
    x, y = (
        np.where(chosen, *sides) for sides in zip(product_pairs(clocks, seed), (x, y), strict=True)
    )
    # Stretches without NaN and infinity, and pairs of products that cancel.
    kind = np.repeat(rng.integers(4, size=-(-clocks // 64)), 64)[:clocks]
    finite = kind > 0
    for side in (a, b):
        side[finite & (side & 0x7C00 == 0x7C00)] &= np.uint16(0xBFFF)
    cancel = (kind == 2) & (np.arange(clocks) % 2 == 1)
    cancel[0] = False
    a[cancel], b[cancel] = a[np.roll(cancel, -1)] ^ np.uint16(0x8000), b[np.roll(cancel, -1)]
    first = rng.random(clocks) < np.where(kind == 3, 0.01, 0.2)
    first[::SEGMENT] = True
    return {"x": x, "y": y, "a": a, "b": b, "first": first}


def assert_equals_numpy(simulation, pairs, seed):
    made = operands(pairs, seed)
    clocks = len(made["x"])
    stimulus = {**made, "valid": np.ones(clocks, np.bool_)}
    rows = simulation.run(simulation.inputs.pack(stimulus, clocks))
    seen = simulation.outputs.unpack(rows, {})
    a, b, x, y = made["a"], made["b"], made["x"], made["y"]
    whole = a.astype(np.uint8).view(np.int8).astype(np.int64)
    whole = segment_sums(whole * b.astype(np.uint8).view(np.int8), made["first"])
    golden = {
        "exact": (2, exact_sums(a, b, made["first"])),
        "brain": (1, brain_products(a, b)),
        "whole": (2, whole.astype(np.uint32)),
        "wide": (0, canonical(a.view(np.float16).astype(np.float32))),
        "half": (0, halves_of(x)),
        **{f"product_{latency}": (latency, fp32_products(x, y)) for latency in MUL_LATENCIES},
    }
    for name, (latency, values) in golden.items():
        wrong = np.flatnonzero(seen[name][latency:] != values[: clocks - latency])
        assert not len(wrong), (
            f"{name}: {len(wrong)} wrong, first at {wrong[0]}: {a[wrong[0]]:#06x} "
            f"{b[wrong[0]]:#06x} / {x[wrong[0]]:#010x} {y[wrong[0]]:#010x}: "
            f"{seen[name][latency + wrong[0]]:#x}, not {values[wrong[0]]:#x}"
        )


@pytest.fixture(scope="module")
def verilated():
    if missing := missing_tool():
        pytest.skip(f"{missing} is not installed")
    bench = Arithmetic()
    with VerilatorSimulation(
        verilog_of(bench, "arithmetic"), "arithmetic", list(port_values(bench))
    ) as made:
        yield made


def test_amaranth_simulation_equals_numpy():
    assert_equals_numpy(AmaranthSimulation(Arithmetic()), pairs=1000, seed=1)


@pytest.mark.slow
def test_emitted_verilog_equals_numpy_on_twenty_million_pairs(verilated):
    for seed in range(20):
        assert_equals_numpy(verilated, pairs=1_000_000, seed=seed)


def test_the_golden_exact_sum_equals_python_integers():
    made = operands(3000, 5)
    golden = exact_sums(made["a"], made["b"], made["first"])
    total, compared = None, 0
    for a, b, first, seen in zip(
        *(made[name].tolist() for name in ("a", "b", "first")), golden.tolist(), strict=True
    ):
        x, y = (float(np.uint16(side).view(np.float16)) for side in (a, b))
        if first:
            total = 0
        if total is None or not (np.isfinite(x) and np.isfinite(y)):
            total = None
            continue
        total += int(x * y * 2.0**48)  # exact: 22 bits
        if total.bit_length() <= 53:
            compared += 1
            assert seen == int(np.float32(total * 2.0**-48).view(np.uint32)) & 0xFFFFFFFF
    assert compared > 200


def test_the_order_of_an_exact_sum_does_not_matter():
    rng = np.random.default_rng(0)
    a = rng.integers(1 << 16, size=500, dtype=np.uint16) & np.uint16(0xBFFF)
    b = rng.integers(1 << 16, size=500, dtype=np.uint16) & np.uint16(0xBFFF)
    first = np.arange(500) == 0
    sums = set()
    for _ in range(5):
        order = rng.permutation(500)
        sums.add(int(exact_sums(a[order], b[order], first)[-1]))
    assert len(sums) == 1
