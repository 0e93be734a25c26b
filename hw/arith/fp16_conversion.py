"""Conversions between FP16 and FP32, as logic without registers."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP16, FP32
from hw.arith.leading_zeros import normalise

#: Difference of the exponent biases
_BIAS = FP32.bias - FP16.bias


class Fp16ToFp32(wiring.Component):
    """binary16 as binary32: exact, subnormals at their value; NaN becomes the canonical NaN."""

    def __init__(self):
        super().__init__({"half": In(FP16), "single": Out(FP32)})

    def elaborate(self, _platform):
        m = Module()
        half = self.half
        normalised, zeros = normalise(m, "fraction", half.fraction)
        m.d.comb += self.single.sign.eq(half.sign)
        with m.If(half.nan):
            m.d.comb += self.single.eq(FP32.quiet_nan)
        with m.Elif(half.special):
            m.d.comb += self.single.exponent.eq(FP32.exponent_max)
        with m.Elif(half.exponent.any()):
            m.d.comb += [
                self.single.exponent.eq(half.exponent + _BIAS),
                self.single.fraction.eq(Cat(Const(0, 13), half.fraction)),
            ]
        with m.Elif(half.fraction.any()):
            m.d.comb += [
                self.single.exponent.eq(_BIAS - zeros),
                self.single.fraction.eq(Cat(Const(0, 14), normalised[:9])),
            ]
        return m


class Fp32ToFp16(wiring.Component):
    """binary32 as binary16: rounded once to nearest, ties to even, subnormals kept.

    Overflow gives infinity; NaN becomes the canonical NaN.
    """

    def __init__(self):
        super().__init__({"single": In(FP32), "half": Out(FP16)})

    def elaborate(self, _platform):
        m = Module()
        single = self.single
        # Below the normal range, which begins at `_BIAS` + 1, the significand moves right; 12
        # places leave nothing but a rest.
        distance = Signal(4)
        small = Signal()
        m.d.comb += small.eq(single.exponent <= _BIAS)
        with m.If(single.exponent < _BIAS - 10):
            m.d.comb += distance.eq(12)
        with m.Elif(small):
            m.d.comb += distance.eq(_BIAS + 1 - single.exponent)
        wide = Signal(36)
        m.d.comb += wide.eq(Cat(Const(0, 12), single.significand) >> distance)
        fraction, tie_or_more = wide[25:35], wide[24]
        rounded = Signal(15)
        m.d.comb += rounded.eq(
            Cat(fraction, Mux(small, 0, (single.exponent - _BIAS)[:5]))
            + (tie_or_more & (wide[:24].any() | fraction[0]))
        )
        with m.If(single.nan):
            m.d.comb += self.half.eq(FP16.quiet_nan)
        with m.Elif(single.exponent > _BIAS + 30):
            m.d.comb += self.half.eq(Cat(Const(FP16.infinity, 15), single.sign))
        with m.Else():
            m.d.comb += self.half.eq(Cat(rounded, single.sign))
        return m


__all__ = ["Fp16ToFp32", "Fp32ToFp16"]
