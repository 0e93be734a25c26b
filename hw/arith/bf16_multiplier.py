"""BF16 x BF16 multiplier with an FP32 product: denormals are zeros, one rounding."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import BF16, FP32


class Bf16Multiplier(wiring.Component):
    """Product of two bfloat16 numbers as binary32, one clock later.

    Subnormal operands are taken as zeros of their sign, and a product below the smallest normal
    binary32 becomes a zero of its sign (as matrix units of this format do). All other products
    are exact: 8 x 8 significand bits. Overflow gives infinity; NaN operands and Inf x 0 give the
    canonical NaN.
    """

    latency = 1

    def __init__(self):
        super().__init__({"x": In(BF16), "y": In(BF16), "product": Out(FP32)})

    def elaborate(self, _platform):
        m = Module()
        x, y = self.x, self.y
        significand = Signal(16)
        exponent = Signal(signed(11))
        carry = significand[-1]
        m.d.comb += [
            significand.eq(Cat(x.fraction, Const(1, 1)) * Cat(y.fraction, Const(1, 1))),
            exponent.eq(x.exponent + y.exponent - 127 + carry),
        ]
        sign = x.sign ^ y.sign
        zero = ~x.exponent.any() | ~y.exponent.any()
        special = x.special | y.special
        with m.If(x.nan | y.nan | (special & zero)):
            m.d.sync += self.product.eq(FP32.quiet_nan)
        with m.Elif(special | (~zero & (exponent >= 255))):
            m.d.sync += self.product.eq(Cat(Const(FP32.infinity, 31), sign))
        with m.Elif(zero | (exponent < 1)):
            m.d.sync += self.product.eq(Cat(Const(0, 31), sign))
        with m.Elif(carry):
            m.d.sync += self.product.eq(Cat(Const(0, 8), significand[:15], exponent[:8], sign))
        with m.Else():
            m.d.sync += self.product.eq(Cat(Const(0, 9), significand[:14], exponent[:8], sign))
        return m


__all__ = ["Bf16Multiplier"]
