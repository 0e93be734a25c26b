"""FP16 x FP16 multiplier with an FP32 product, which is always exact."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP16, FP32
from hw.arith.leading_zeros import normalise

# Both significands carry 10 fraction bits, so a product whose leading one stands at bit 21 has
# the exponent (ex - 15) + (ey - 15) + 1; FP32 adds its bias of 127.
_EXPONENT_OFFSET = 127 - 2 * 15 + 1


class Fp16Multiplier(wiring.Component):
    """Product of two binary16 numbers as binary32, `latency` clocks later.

    Exact: 11 x 11 significand bits fit in 24, and the exponents of binary16 products lie within
    the normal range of binary32. Subnormal operands are taken at their value; Inf x 0 and NaN
    operands give the canonical NaN. One product per clock. Wrap the component in `EnableInserter`
    for a clock enable.

    Parameters
    ----------
    latency
        1: product register. 2: operand registers, then product register.
    """

    def __init__(self, latency: int = 1):
        if latency not in (1, 2):
            raise ValueError(f"latency must be 1 or 2 (got {latency})")
        self.latency = latency
        super().__init__({"x": In(FP16), "y": In(FP16), "product": Out(FP32)})

    def elaborate(self, _platform):
        m = Module()
        if self.latency == 1:
            x, y = self.x, self.y
        else:
            x = Signal(FP16, reset_less=True, name="operand_x")
            y = Signal(FP16, reset_less=True, name="operand_y")
            m.d.sync += [x.eq(self.x), y.eq(self.y)]

        significands = Signal(22)
        m.d.comb += significands.eq(x.significand * y.significand)
        normalised, zeros = normalise(m, "significand", significands)
        sign = x.sign ^ y.sign
        exponent = Signal(8)
        m.d.comb += exponent.eq(x.scale + y.scale + _EXPONENT_OFFSET - zeros)
        exact = Cat(Const(0, 2), normalised[:21], exponent, sign)

        special = x.special | y.special
        zero = ~significands.any()
        with m.If(x.nan | y.nan | (special & (x.zero | y.zero))):
            m.d.sync += self.product.eq(FP32.quiet_nan)
        with m.Elif(special | zero):
            magnitude = Mux(special, FP32.infinity, 0)
            m.d.sync += self.product.eq(Cat(magnitude[:31], sign))
        with m.Else():
            m.d.sync += self.product.eq(exact)
        return m


__all__ = ["Fp16Multiplier"]
