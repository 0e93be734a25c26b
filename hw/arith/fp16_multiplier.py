"""FP16 x FP16 multiplier with an FP32 product, which is always exact."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP16, FP32
from hw.arith.leading_zeros import normalise
from hw.arith.pipeline_step import step_outcome

# Keeps the exponent of a normalised subnormal, 1 - zeros, from being negative.
_OPERAND_OFFSET = 16
# From the sum of two such exponents, each with the bias of FP16, to that of an FP32 product whose
# leading one stands at bit 20.
_PRODUCT_OFFSET = 127 - 2 * 15 - 2 * _OPERAND_OFFSET


class Fp16Multiplier(wiring.Component):
    """Product of two binary16 numbers as binary32, `latency` clocks later.

    Exact: 11 x 11 significand bits fit in 24, and the exponents of binary16 products lie within
    the normal range of binary32. Subnormal operands are taken at their value; Inf x 0 and NaN
    operands give the canonical NaN. One product per clock. Wrap the component in `EnableInserter`
    for a clock enable.

    Parameters
    ----------
    latency
        1: product register. 2: registers of the normalised operands, then product register.
    """

    def __init__(self, latency: int = 1):
        if latency not in (1, 2):
            raise ValueError(f"latency must be 1 or 2 (got {latency})")
        self.latency = latency
        super().__init__({"x": In(FP16), "y": In(FP16), "product": Out(FP32)})

    def elaborate(self, _platform):
        m = Module()
        operands = self._operands(m)
        # Both have their leading one on top, so that the product has it at bit 21 or 20.
        product = Signal(22)
        exponent = Signal(8)
        m.d.comb += [
            product.eq(operands.significand_x * operands.significand_y),
            exponent.eq(operands.exponent_x + operands.exponent_y + _PRODUCT_OFFSET + product[21]),
        ]
        fraction = Mux(product[21], product[:21], Cat(Const(0, 1), product[:20]))
        with m.If(operands.nan):
            m.d.sync += self.product.eq(FP32.quiet_nan)
        with m.Elif(operands.special | operands.zero):
            magnitude = Mux(operands.special, FP32.infinity, 0)
            m.d.sync += self.product.eq(Cat(magnitude[:31], operands.sign))
        with m.Else():
            m.d.sync += self.product.eq(Cat(Const(0, 2), fraction, exponent, operands.sign))
        return m

    def _operands(self, m):
        """Normalise the significands, and decide on the products that are none of them."""
        x, y = self.x, self.y
        significand_x, zeros_x = normalise(m, "significand_x", x.significand)
        significand_y, zeros_y = normalise(m, "significand_y", y.significand)
        special = x.special | y.special
        return step_outcome(
            m,
            "operands",
            self.latency == 2,
            sign=(1, x.sign ^ y.sign),
            nan=(1, x.nan | y.nan | (special & (x.zero | y.zero))),
            special=(1, special),
            zero=(1, x.zero | y.zero),
            exponent_x=(6, x.scale - zeros_x + _OPERAND_OFFSET),
            exponent_y=(6, y.scale - zeros_y + _OPERAND_OFFSET),
            significand_x=(11, significand_x),
            significand_y=(11, significand_y),
        )


__all__ = ["Fp16Multiplier"]
