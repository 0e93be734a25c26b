"""FP16 x FP16 with an exact fixed-point accumulator: the order of the sum does not matter."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP16, FP32
from hw.arith.leading_zeros import normalise

#: Weight of the lowest bit: the product of the two smallest subnormals.
LOWEST_EXPONENT = -48
#: Products below 2^32 in magnitude need 81 bits with the sign; the rest are for 2^15 of them.
ACCUMULATOR_BITS = 96


class ExactAccumulator(wiring.Component):
    """Sum of FP16 products as a 96-bit whole number of 2^-48, rounded once to FP32 at the end.

    In each clock with `valid` the product of `x` and `y` is added; with `first` it replaces the
    sum. The operands of clock t are in `total` from clock t + 2 on. `total` is the exact sum
    rounded to nearest, ties to even; a sum of zero is +0. NaN operands, Inf x 0 and infinities of
    both signs give the canonical NaN, one sign of infinity gives infinity. No overflow within
    2^15 products of any size.
    """

    latency = 2

    def __init__(self):
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "x": In(FP16),
                "y": In(FP16),
                "total": Out(FP32),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        x, y = self.x, self.y
        valid, first = Signal(), Signal()
        product = Signal(22, reset_less=True)
        shift = Signal(6, reset_less=True)
        sign = Signal(reset_less=True)
        infinite, nan = Signal(reset_less=True), Signal(reset_less=True)
        special = x.special | y.special
        m.d.sync += [
            valid.eq(self.valid),
            first.eq(self.first),
            product.eq(x.significand * y.significand),
            shift.eq(x.scale + y.scale - 2),
            sign.eq(x.sign ^ y.sign),
            infinite.eq(special),
            nan.eq(x.nan | y.nan | (special & (x.zero | y.zero))),
        ]

        accumulator = Signal(signed(ACCUMULATOR_BITS))
        positive, negative, invalid = Signal(), Signal(), Signal()
        magnitude = Signal(ACCUMULATOR_BITS - 1)
        addend = Signal(signed(ACCUMULATOR_BITS))
        m.d.comb += [
            magnitude.eq(Mux(infinite, 0, product << shift)),
            addend.eq(Mux(sign, -magnitude, magnitude)),
        ]
        with m.If(valid):
            m.d.sync += [
                accumulator.eq(Mux(first, 0, accumulator) + addend),
                invalid.eq((invalid & ~first) | nan),
                positive.eq((positive & ~first) | (infinite & ~sign)),
                negative.eq((negative & ~first) | (infinite & sign)),
            ]
        self._round(m, accumulator, invalid | (positive & negative), positive, negative)
        return m

    def _round(self, m, accumulator, nan, positive, negative):
        """The drain: absolute value, leading one, round to nearest even."""
        absolute = Signal(ACCUMULATOR_BITS)
        m.d.comb += absolute.eq(Mux(accumulator[-1], -accumulator, accumulator))
        normalised, zeros = normalise(m, "absolute", absolute)
        fraction = normalised[-24:-1]
        up = normalised[-25] & (normalised[:-25].any() | fraction[0])
        # The leading one of an unshifted word weighs 2^(95 - 48); all sums are normal in FP32.
        exponent = Signal(8)
        rounded = Signal(31)
        m.d.comb += [
            exponent.eq(127 + ACCUMULATOR_BITS - 1 + LOWEST_EXPONENT - zeros),
            rounded.eq(Cat(fraction, exponent) + up),
        ]
        with m.If(nan):
            m.d.comb += self.total.eq(FP32.quiet_nan)
        with m.Elif(positive | negative):
            m.d.comb += self.total.eq(Cat(Const(FP32.infinity, 31), negative))
        with m.Elif(absolute.any()):
            m.d.comb += self.total.eq(Cat(rounded, accumulator[-1]))
        return m


__all__ = ["ACCUMULATOR_BITS", "LOWEST_EXPONENT", "ExactAccumulator"]
