"""Floating point adder, round to nearest even, pipelined between its four steps."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP32, FP64, FloatFormat
from hw.arith.leading_zeros import normalise
from hw.arith.pipeline_step import passed, step_outcome

#: Steps that end in a register, by latency. The register behind `round` belongs to the user.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("add",),
    3: ("align", "add"),
    4: ("align", "add", "normalise"),
}
# What all steps carry along: the sign of a result that is not zero, the sign of a zero result,
# and the results that are not finite.
_OUTCOME = ("sign", "zero_sign", "nan", "infinite")


class FloatAdder(wiring.Component):
    """Sum of two numbers of a format, rounded to nearest, ties to even.

    Subnormals are operands and results; x + (-x) is +0; Inf - Inf and NaN operands give the
    canonical NaN; overflow gives infinity. One sum per clock. Wrap the component in
    `EnableInserter` for a clock enable.

    The component holds ``latency - 1`` registers and ends in logic: the last register is the one
    its user stores the sum in.

    Parameters
    ----------
    number
        format of operands and sum
    latency
        1 to 4 clocks from the operands to the sum in the user's register.
    """

    def __init__(self, number: FloatFormat, latency: int = 1):
        if latency not in REGISTERED_STEPS:
            raise ValueError(f"latency must be 1 to {max(REGISTERED_STEPS)} (got {latency})")
        self.number = number
        self.latency = latency
        # the significand with the hidden one, then guard, round and sticky
        self.aligned_bits = number.fraction_bits + 4
        super().__init__({"x": In(number), "y": In(number), "total": Out(number)})

    def elaborate(self, _platform):
        m = Module()
        aligned = self._align(m)
        added = self._add(m, aligned)
        normalised = self._normalise(m, added)
        self._round(m, normalised)
        return m

    def _step(self, m, step, **fields):
        return step_outcome(m, step, step in REGISTERED_STEPS[self.latency], **fields)

    def _align(self, m):
        """Order the operands by magnitude and shift the smaller to the larger's exponent."""
        x, y, bits = self.x, self.y, self.aligned_bits
        swap = Signal()
        larger = Signal(self.number)
        smaller = Signal(self.number)
        m.d.comb += [
            swap.eq(x.magnitude < y.magnitude),
            larger.eq(Mux(swap, y.as_value(), x.as_value())),
            smaller.eq(Mux(swap, x.as_value(), y.as_value())),
        ]
        subtract = larger.sign ^ smaller.sign

        exponent = Signal(self.number.exponent_bits)
        distance = Signal(self.number.exponent_bits)
        # Both differences, so that neither waits for the comparison.
        m.d.comb += [
            exponent.eq(larger.scale),
            distance.eq(Mux(swap, y.scale - x.scale, x.scale - y.scale)),
        ]
        wide = Signal(bits)
        m.d.comb += wide.eq(Cat(Const(0, 3), smaller.significand))
        # All that falls off the right end is kept as one sticky bit.
        far = Signal()
        shifted = Signal(2 * bits)
        m.d.comb += [
            far.eq(distance >= bits),
            shifted.eq(Cat(Const(0, bits), wide) >> distance[: bits.bit_length()]),
        ]
        kept = shifted[bits:]
        sticky = kept[0] | shifted[:bits].any()
        infinite = larger.exponent == self.number.exponent_max
        nan = infinite & (
            larger.fraction.any() | ((smaller.exponent == self.number.exponent_max) & subtract)
        )
        return self._step(
            m,
            "align",
            sign=(1, larger.sign),
            zero_sign=(1, x.sign & y.sign),
            nan=(1, nan),
            infinite=(1, infinite),
            subtract=(1, subtract),
            exponent=(exponent.shape(), exponent),
            larger=(bits, Cat(Const(0, 3), larger.significand)),
            smaller=(bits, Mux(far, wide.any(), Cat(sticky, kept[1:]))),
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
            **passed(aligned, *_OUTCOME, "exponent"),
            significand=(self.aligned_bits + 1, significand[: self.aligned_bits + 1]),
        )

    def _normalise(self, m, added):
        """Bring the leading one to the top, but no further than to the subnormal exponent.

        The top bit of `added` is the carry, of weight exponent + 1; the exponent field may be
        lowered to 1, which is a shift by `exponent` places from there.
        """
        bits = self.aligned_bits
        ceiling = Signal(bits + 1)
        # A one at the place where the subnormals begin stops the shift there.
        m.d.comb += ceiling.eq(
            Mux(added.exponent > bits, 0, (1 << bits) >> added.exponent[: bits.bit_length()])
        )
        _, zeros = normalise(m, "limit", added.significand | ceiling)
        shifted = Signal(bits + 1)
        m.d.comb += shifted.eq(added.significand << zeros)
        exponent = Signal(self.number.exponent_bits)
        m.d.comb += exponent.eq(added.exponent + 1 - zeros)
        return self._step(
            m,
            "normalise",
            **passed(added, *_OUTCOME),
            exponent=(exponent.shape(), Mux(shifted[-1], exponent, 0)),
            significand=(bits + 1, shifted),
        )

    def _round(self, m, normalised):
        """Round to nearest even; a carry out of the fraction raises the exponent."""
        significand = normalised.significand
        fraction = significand[4:-1]
        tie_or_more = significand[3]
        rest = significand[:3].any()
        up = Signal()
        rounded = Signal(len(self.total.magnitude))
        m.d.comb += [
            up.eq(tie_or_more & (rest | fraction[0])),
            rounded.eq(Cat(fraction, normalised.exponent) + up),
        ]
        overflow = normalised.exponent == self.number.exponent_max
        zero = ~rounded.any()
        with m.If(normalised.nan):
            m.d.comb += self.total.eq(self.number.quiet_nan)
        with m.Elif(normalised.infinite | overflow):
            infinity = Const(self.number.infinity, len(rounded))
            m.d.comb += self.total.eq(Cat(infinity, normalised.sign))
        with m.Elif(zero):
            m.d.comb += self.total.eq(Cat(Const(0, len(rounded)), normalised.zero_sign))
        with m.Else():
            m.d.comb += self.total.eq(Cat(rounded, normalised.sign))
        return m


class Fp32Adder(FloatAdder):
    """`FloatAdder` of binary32."""

    def __init__(self, latency: int = 1):
        super().__init__(FP32, latency)


class Fp64Adder(FloatAdder):
    """`FloatAdder` of binary64."""

    def __init__(self, latency: int = 1):
        super().__init__(FP64, latency)


__all__ = ["REGISTERED_STEPS", "FloatAdder", "Fp32Adder", "Fp64Adder"]
