"""Floating point multiplier, round to nearest even, pipelined between its four steps."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP32, FloatFormat
from hw.arith.leading_zeros import normalise
from hw.arith.pipeline_step import passed, step_outcome

#: Steps that end in a register, by latency; `round` always does, and holds the product.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("multiply",),
    3: ("operands", "multiply"),
    4: ("operands", "multiply", "denormalise"),
}

#: The widest operand, without a sign, of the multipliers in the DSP blocks of all targets
_DSP_BITS = 17
# What all steps carry along: the sign, and the results that are not finite.
_OUTCOME = ("sign", "nan", "infinite")


class FloatMultiplier(wiring.Component):
    """Product of two numbers of a format, rounded to nearest, ties to even, `latency` clocks later.

    Subnormals are operands and results; Inf x 0 and NaN operands give the canonical NaN; overflow
    gives infinity. One product per clock. Wrap the component in `EnableInserter` for a clock
    enable.

    Parameters
    ----------
    number
        format of factors and product; its bias is at least the bits of the fraction + 2
    latency
        1 to 4 clocks; `REGISTERED_STEPS` says where the registers are.
    """

    def __init__(self, number: FloatFormat, latency: int = 1):
        if latency not in REGISTERED_STEPS:
            raise ValueError(f"latency must be 1 to {max(REGISTERED_STEPS)} (got {latency})")
        self.number = number
        self.latency = latency
        self.significand_bits = number.fraction_bits + 1
        # what leaves the product below the places of the result and the tie bit
        self.rest_bits = self.significand_bits - 1
        # fields of exponents that may be too small and too large
        self.exponent_shape = signed(number.exponent_bits + 3)
        super().__init__({"x": In(number), "y": In(number), "product": Out(number)})

    def elaborate(self, _platform):
        m = Module()
        operands = self._operands(m)
        multiplied = self._multiply(m, operands)
        denormalised = self._denormalise(m, multiplied)
        self._round(m, denormalised)
        return m

    def _step(self, m, step, **fields):
        return step_outcome(m, step, step in REGISTERED_STEPS[self.latency], **fields)

    def _operands(self, m):
        """Bring the leading one of a subnormal operand to the top.

        Of two subnormals only one is: their product is less than half of the smallest subnormal,
        wherever its leading one stands.
        """
        x, y = self.x, self.y
        special = x.special | y.special
        swap = ~x.exponent.any()
        small = Signal(self.significand_bits)
        m.d.comb += small.eq(Mux(swap, x.significand, y.significand))
        normal, zeros = normalise(m, "small", small)
        return self._step(
            m,
            "operands",
            sign=(1, x.sign ^ y.sign),
            nan=(1, x.nan | y.nan | (special & (x.zero | y.zero))),
            infinite=(1, special),
            # that of a product whose leading one stands in the top bit
            exponent=(self.exponent_shape, x.scale + y.scale + (1 - self.number.bias)),
            zeros=(len(zeros), zeros),
            large=(self.significand_bits, Mux(swap, y.significand, x.significand)),
            small=(self.significand_bits, normal),
        )

    def _multiply(self, m, operands):
        """Multiply the significands, as the sum of two products that is still to be made.

        Beside it: by how many places a subnormal product has to move to the right.
        """
        large, small = operands.large, operands.small
        exponent = Signal(self.exponent_shape)
        distance = Signal(self.exponent_shape)
        m.d.comb += [
            exponent.eq(operands.exponent - operands.zeros),
            distance.eq(1 - exponent),
        ]
        # As many places as the significand and the tie bit have leave nothing but a rest.
        bits = (self.significand_bits + 1).bit_length()
        most = 2**bits - 1
        places = Mux(distance < 0, 0, Mux(distance > most, most, distance[:bits]))
        low, high = large * small[:_DSP_BITS], large * small[_DSP_BITS:]
        return self._step(
            m,
            "multiply",
            **passed(operands, *_OUTCOME),
            exponent=(exponent.shape(), exponent),
            places=(bits, places),
            low=(len(low), low),
            high=(len(high), high),
        )

    def _denormalise(self, m, multiplied):
        """Bring the leading one to the top, but not beyond the exponent where subnormals begin.

        It stands in one of the two top bits, or the product is subnormal and moves right. All
        that falls off is kept as one bit.
        """
        exponent, places = multiplied.exponent, multiplied.places
        product = Signal(2 * self.significand_bits)
        upper = product[self.rest_bits :]
        up = Signal()
        normal = Signal(self.exponent_shape)
        m.d.comb += [
            product.eq(multiplied.low + (multiplied.high << _DSP_BITS)),
            up.eq(~product[-1] & (exponent > 1)),
            normal.eq(exponent - up),
        ]
        shifted = Signal(len(upper))
        m.d.comb += shifted.eq(Mux(up, product[self.rest_bits - 1 : -1], upper >> places))
        fallen = Signal(len(upper))
        # What moves right does so by `places`: the ones below them.
        m.d.comb += fallen.eq(upper & ~(Const(-1, signed(len(upper) + 1)) << places))
        below, top = product[: self.rest_bits - 1], product[self.rest_bits - 1]
        rest = below.any() | (~up & top) | fallen.any()
        exponent_bits = self.number.exponent_bits
        return self._step(
            m,
            "denormalise",
            **passed(multiplied, *_OUTCOME),
            overflow=(1, normal >= self.number.exponent_max),
            exponent=(exponent_bits, Mux(shifted[-1], normal[:exponent_bits], 0)),
            # the significand, then the tie bit and one bit for the rest
            significand=(1 + len(shifted), Cat(rest, shifted)),
        )

    def _round(self, m, denormalised):
        """Round to nearest even; a carry out of the fraction raises the exponent."""
        rest, tie_or_more = denormalised.significand[0], denormalised.significand[1]
        fraction = denormalised.significand[2:-1]
        rounded = Signal(len(self.product.magnitude))
        m.d.comb += rounded.eq(
            Cat(fraction, denormalised.exponent) + (tie_or_more & (rest | fraction[0]))
        )
        with m.If(denormalised.nan):
            m.d.sync += self.product.eq(self.number.quiet_nan)
        with m.Elif(denormalised.infinite | denormalised.overflow):
            infinity = Const(self.number.infinity, len(rounded))
            m.d.sync += self.product.eq(Cat(infinity, denormalised.sign))
        with m.Else():
            m.d.sync += self.product.eq(Cat(rounded, denormalised.sign))


class Fp32Multiplier(FloatMultiplier):
    """`FloatMultiplier` of binary32."""

    def __init__(self, latency: int = 1):
        super().__init__(FP32, latency)


__all__ = ["REGISTERED_STEPS", "FloatMultiplier", "Fp32Multiplier"]
