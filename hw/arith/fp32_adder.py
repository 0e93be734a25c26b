"""FP32 adder, round to nearest even, pipelined between its four steps."""

from __future__ import annotations

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import (
    FP32,
    FP32_EXPONENT_MAX,
    FP32_INFINITY,
    FP32_QUIET_NAN,
)
from hw.arith.leading_zeros import normalise

#: Steps that end in a register, by latency. The register behind `round` belongs to the user.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("add",),
    3: ("align", "add"),
    4: ("align", "add", "normalise"),
}

#: 24 significand bits, then guard, round and sticky
_ALIGNED_BITS = 27
# What all steps carry along: the sign of a result that is not zero, the sign of a zero result,
# and the results that are not finite.
_OUTCOME = {"sign": 1, "zero_sign": 1, "nan": 1, "infinite": 1}
_ALIGNED = {
    **_OUTCOME,
    "subtract": 1,
    "exponent": 8,
    "larger": _ALIGNED_BITS,
    "smaller": _ALIGNED_BITS,
}
#: The carry on top of the aligned bits
_UNROUNDED = {**_OUTCOME, "exponent": 8, "significand": _ALIGNED_BITS + 1}


class Fp32Adder(wiring.Component):
    """Sum of two binary32 numbers, rounded to nearest, ties to even.

    Subnormals are operands and results; x + (-x) is +0; Inf - Inf and NaN operands give the
    canonical NaN; overflow gives infinity. One sum per clock. Wrap the component in
    `EnableInserter` for a clock enable.

    The component holds ``latency - 1`` registers and ends in logic: the last register is the one
    its user stores the sum in.

    Parameters
    ----------
    latency
        1 to 4 clocks from the operands to the sum in the user's register.
    """

    def __init__(self, latency: int = 1):
        if latency not in REGISTERED_STEPS:
            raise ValueError(f"latency must be 1 to {max(REGISTERED_STEPS)} (got {latency})")
        self.latency = latency
        super().__init__({"x": In(FP32), "y": In(FP32), "total": Out(FP32)})

    def elaborate(self, _platform):
        m = Module()
        aligned = self._align(m)
        added = self._add(m, aligned)
        normalised = self._normalise(m, added)
        self._round(m, normalised)
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

    def _align(self, m):
        """Order the operands by magnitude and shift the smaller to the larger's exponent."""
        x, y = self.x, self.y
        swap = Signal()
        larger = Signal(FP32)
        smaller = Signal(FP32)
        m.d.comb += [
            swap.eq(x.as_value()[:31] < y.as_value()[:31]),
            larger.eq(Mux(swap, y.as_value(), x.as_value())),
            smaller.eq(Mux(swap, x.as_value(), y.as_value())),
        ]
        subtract = larger.sign ^ smaller.sign

        # A subnormal has the exponent of the smallest normal, without the hidden one.
        exponent = Signal(8)
        distance = Signal(8)
        m.d.comb += [
            exponent.eq(larger.exponent | ~larger.exponent.any()),
            distance.eq(exponent - (smaller.exponent | ~smaller.exponent.any())),
        ]
        wide = Signal(_ALIGNED_BITS)
        m.d.comb += wide.eq(Cat(Const(0, 3), smaller.fraction, smaller.exponent.any()))
        # All that falls off the right end is kept as one sticky bit.
        far = Signal()
        shifted = Signal(2 * _ALIGNED_BITS)
        m.d.comb += [
            far.eq(distance >= _ALIGNED_BITS),
            shifted.eq(Cat(Const(0, _ALIGNED_BITS), wide) >> distance[:5]),
        ]
        kept = shifted[_ALIGNED_BITS:]
        sticky = kept[0] | shifted[:_ALIGNED_BITS].any()
        infinite = larger.exponent == FP32_EXPONENT_MAX
        return self._step(
            m,
            "align",
            _ALIGNED,
            sign=larger.sign,
            zero_sign=x.sign & y.sign,
            nan=infinite
            & (larger.fraction.any() | ((smaller.exponent == FP32_EXPONENT_MAX) & subtract)),
            infinite=infinite,
            subtract=subtract,
            exponent=exponent,
            larger=Cat(Const(0, 3), larger.fraction, larger.exponent.any()),
            smaller=Mux(far, wide.any(), Cat(sticky, kept[1:])),
        )

    def _add(self, m, aligned):
        """Add or subtract the significands; the carry becomes the top bit."""
        significand = Mux(
            aligned.subtract,
            aligned.larger - aligned.smaller,
            aligned.larger + aligned.smaller,
        )
        return self._step(
            m,
            "add",
            _UNROUNDED,
            **self._passed(aligned),
            exponent=aligned.exponent,
            significand=significand[: _ALIGNED_BITS + 1],
        )

    def _normalise(self, m, added):
        """Bring the leading one to the top, but no further than to the subnormal exponent.

        The top bit of `added` is the carry, of weight exponent + 1; the exponent field may be
        lowered to 1, which is a shift by `exponent` places from there.
        """
        ceiling = Signal(_ALIGNED_BITS + 1)
        # A one at the place where the subnormals begin stops the shift there.
        m.d.comb += ceiling.eq(
            Mux(added.exponent > _ALIGNED_BITS, 0, (1 << _ALIGNED_BITS) >> added.exponent[:5])
        )
        _, zeros = normalise(m, "limit", added.significand | ceiling)
        shifted = Signal(_ALIGNED_BITS + 1)
        m.d.comb += shifted.eq(added.significand << zeros)
        exponent = Signal(8)
        m.d.comb += exponent.eq(added.exponent + 1 - zeros)
        return self._step(
            m,
            "normalise",
            _UNROUNDED,
            **self._passed(added),
            exponent=Mux(shifted[-1], exponent, 0),
            significand=shifted,
        )

    def _round(self, m, normalised):
        """Round to nearest even; a carry out of the fraction raises the exponent."""
        significand = normalised.significand
        fraction = significand[4:-1]
        tie_or_more = significand[3]
        rest = significand[:3].any()
        up = Signal()
        rounded = Signal(31)
        m.d.comb += [
            up.eq(tie_or_more & (rest | fraction[0])),
            rounded.eq(Cat(fraction, normalised.exponent) + up),
        ]
        overflow = normalised.exponent == FP32_EXPONENT_MAX
        zero = ~rounded.any()
        with m.If(normalised.nan):
            m.d.comb += self.total.eq(FP32_QUIET_NAN)
        with m.Elif(normalised.infinite | overflow):
            m.d.comb += self.total.eq(Cat(Const(FP32_INFINITY, 31), normalised.sign))
        with m.Elif(zero):
            m.d.comb += self.total.eq(Cat(Const(0, 31), normalised.zero_sign))
        with m.Else():
            m.d.comb += self.total.eq(Cat(rounded, normalised.sign))
        return m


__all__ = ["REGISTERED_STEPS", "Fp32Adder"]
