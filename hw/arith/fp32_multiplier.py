"""FP32 multiplier, round to nearest even, pipelined between its steps."""

from __future__ import annotations

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP32
from hw.arith.leading_zeros import normalise

#: Steps that end in a register, by latency; `round` always does, and holds the product.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("multiply",),
    3: ("multiply", "normalise"),
    4: ("operands", "multiply", "normalise"),
}

_PRODUCT_BITS = 48
# A product whose leading one stands in the top bit has the exponent (ex - 127) + (ey - 127) + 1.
_EXPONENT_OFFSET = 127 - 2 * 127 + 1
# What all steps carry along: the sign, and the results that are not finite.
_OUTCOME = {"sign": 1, "nan": 1, "infinite": 1}
_MULTIPLIED = {**_OUTCOME, "exponent": signed(11), "significand": _PRODUCT_BITS}
#: 24 significand bits, then the tie bit and one bit for the rest
_UNROUNDED = {**_OUTCOME, "overflow": 1, "exponent": 8, "significand": 26}


class Fp32Multiplier(wiring.Component):
    """Product of two binary32 numbers, rounded to nearest, ties to even, `latency` clocks later.

    Subnormals are operands and results; Inf x 0 and NaN operands give the canonical NaN; overflow
    gives infinity. One product per clock. Wrap the component in `EnableInserter` for a clock
    enable.

    Parameters
    ----------
    latency
        1 to 4 clocks; `REGISTERED_STEPS` says where the registers are.
    """

    def __init__(self, latency: int = 1):
        if latency not in REGISTERED_STEPS:
            raise ValueError(f"latency must be 1 to {max(REGISTERED_STEPS)} (got {latency})")
        self.latency = latency
        super().__init__({"x": In(FP32), "y": In(FP32), "product": Out(FP32)})

    def elaborate(self, _platform):
        m = Module()
        x, y = self.x, self.y
        if "operands" in REGISTERED_STEPS[self.latency]:
            x = Signal(FP32, reset_less=True, name="operand_x")
            y = Signal(FP32, reset_less=True, name="operand_y")
            m.d.sync += [x.eq(self.x), y.eq(self.y)]
        self._round(m, self._normalise(m, self._multiply(m, x, y)))
        return m

    def _step(self, m, step, widths, **values):
        """The outcome of a step, in registers if this latency puts them behind the step."""
        outcome = SimpleNamespace()
        domain = m.d.sync if step in REGISTERED_STEPS[self.latency] else m.d.comb
        for field, width in widths.items():
            signal = Signal(width, name=f"{step}_{field}", reset_less=True)
            domain += signal.eq(values[field])
            setattr(outcome, field, signal)
        return outcome

    @staticmethod
    def _passed(outcome):
        return {field: getattr(outcome, field) for field in _OUTCOME}

    def _multiply(self, m, x, y):
        """Multiply the significands; a subnormal has the smallest exponent and no hidden one."""
        special = x.exponent.all() | y.exponent.all()
        return self._step(
            m,
            "multiply",
            _MULTIPLIED,
            sign=x.sign ^ y.sign,
            nan=(x.exponent.all() & x.fraction.any())
            | (y.exponent.all() & y.fraction.any())
            | (special & (~x.as_value()[:31].any() | ~y.as_value()[:31].any())),
            infinite=special,
            exponent=(x.exponent | ~x.exponent.any())
            + (y.exponent | ~y.exponent.any())
            + _EXPONENT_OFFSET,
            significand=Cat(x.fraction, x.exponent.any()) * Cat(y.fraction, y.exponent.any()),
        )

    def _normalise(self, m, multiplied):
        """Bring the leading one to the top, but not beyond the exponent where subnormals begin.

        Below that exponent the significand moves right; what falls off is kept as one bit.
        """
        exponent, significand = multiplied.exponent, multiplied.significand
        low = Signal()
        ceiling = Signal(_PRODUCT_BITS)
        m.d.comb += low.eq(exponent < 1)
        # A one at the place where the subnormals begin stops the shift there.
        with m.If(~low & (exponent <= _PRODUCT_BITS)):
            m.d.comb += ceiling.eq((1 << _PRODUCT_BITS) >> exponent[:6])
        _, zeros = normalise(m, "limit", significand | ceiling)
        up = Signal(_PRODUCT_BITS)
        m.d.comb += up.eq(significand << zeros)

        distance = Signal(8)
        far = Signal()
        wide = Signal(2 * _PRODUCT_BITS)
        m.d.comb += [
            distance.eq(1 - exponent),
            far.eq(distance >= _PRODUCT_BITS),
            wide.eq(Cat(Const(0, _PRODUCT_BITS), significand) >> distance[:6]),
        ]
        fallen = wide[:_PRODUCT_BITS].any()
        down = Mux(far, significand.any(), Cat(wide[_PRODUCT_BITS] | fallen, wide[49:]))
        shifted = Signal(_PRODUCT_BITS)
        normal = Signal(signed(11))
        m.d.comb += [
            shifted.eq(Mux(low, down, up)),
            normal.eq(exponent - zeros),
        ]
        return self._step(
            m,
            "normalise",
            _UNROUNDED,
            **self._passed(multiplied),
            overflow=~low & (normal >= FP32.exponent_max),
            exponent=Mux(shifted[-1], normal[:8], 0),
            significand=Cat(shifted[:23].any(), shifted[23:]),
        )

    def _round(self, m, normalised):
        """Round to nearest even; a carry out of the fraction raises the exponent."""
        rest, tie_or_more = normalised.significand[0], normalised.significand[1]
        fraction = normalised.significand[2:-1]
        rounded = Signal(31)
        m.d.comb += rounded.eq(
            Cat(fraction, normalised.exponent) + (tie_or_more & (rest | fraction[0]))
        )
        with m.If(normalised.nan):
            m.d.sync += self.product.eq(FP32.quiet_nan)
        with m.Elif(normalised.infinite | normalised.overflow):
            m.d.sync += self.product.eq(Cat(Const(FP32.infinity, 31), normalised.sign))
        with m.Else():
            m.d.sync += self.product.eq(Cat(rounded, normalised.sign))
        return m


__all__ = ["REGISTERED_STEPS", "Fp32Multiplier"]
