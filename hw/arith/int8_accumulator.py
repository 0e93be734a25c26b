"""INT8 x INT8 with an INT32 accumulator that wraps."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Int8Accumulator(wiring.Component):
    """Sum of signed 8-bit products in 32 bits, modulo 2^32.

    In each clock with `valid` the product of `x` and `y` is added; with `first` it replaces the
    sum. The operands of clock t are in `total` from clock t + 2 on.
    """

    latency = 2

    def __init__(self):
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "x": In(signed(8)),
                "y": In(signed(8)),
                "total": Out(signed(32)),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        valid, first = Signal(), Signal()
        product = Signal(signed(16), reset_less=True)
        m.d.sync += [valid.eq(self.valid), first.eq(self.first), product.eq(self.x * self.y)]
        with m.If(valid):
            m.d.sync += self.total.eq(Mux(first, 0, self.total) + product)
        return m


__all__ = ["Int8Accumulator"]
