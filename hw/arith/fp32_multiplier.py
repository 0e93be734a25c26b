"""FP32 multiplier, round to nearest even, pipelined between its four steps."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_formats import FP32
from hw.arith.leading_zeros import normalise
from hw.arith.pipeline_step import passed, step_outcome

#: Steps that end in a register, by latency; `round` always does, and holds the product.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("multiply",),
    3: ("operands", "multiply"),
    4: ("operands", "multiply", "denormalise"),
}

_SIGNIFICAND_BITS = 24
_PRODUCT_BITS = 2 * _SIGNIFICAND_BITS
#: What leaves the product below the places of the result and the tie bit
_REST_BITS = _PRODUCT_BITS - _SIGNIFICAND_BITS - 1
#: The widest operand, without a sign, of the multipliers in the DSP blocks of all targets
_LOW_BITS = 17
# A product whose leading one stands in the top bit has the exponent (ex - 127) + (ey - 127) + 1.
_EXPONENT_OFFSET = 127 - 2 * 127 + 1
# What all steps carry along: the sign, and the results that are not finite.
_OUTCOME = ("sign", "nan", "infinite")


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
        small = Signal(_SIGNIFICAND_BITS)
        m.d.comb += small.eq(Mux(swap, x.significand, y.significand))
        normal, zeros = normalise(m, "small", small)
        return self._step(
            m,
            "operands",
            sign=(1, x.sign ^ y.sign),
            nan=(1, x.nan | y.nan | (special & (x.zero | y.zero))),
            infinite=(1, special),
            exponent=(signed(11), x.scale + y.scale + _EXPONENT_OFFSET),
            zeros=(len(zeros), zeros),
            large=(_SIGNIFICAND_BITS, Mux(swap, y.significand, x.significand)),
            small=(_SIGNIFICAND_BITS, normal),
        )

    def _multiply(self, m, operands):
        """Multiply the significands, as the sum of two products that is still to be made.

        Beside it: by how many places a subnormal product has to move to the right.
        """
        large, small = operands.large, operands.small
        exponent = Signal(signed(11))
        distance = Signal(signed(11))
        m.d.comb += [
            exponent.eq(operands.exponent - operands.zeros),
            distance.eq(1 - exponent),
        ]
        # 31 places leave nothing but a rest.
        places = Mux(distance < 0, 0, Mux(distance > 31, 31, distance[:5]))
        return self._step(
            m,
            "multiply",
            **passed(operands, *_OUTCOME),
            exponent=(exponent.shape(), exponent),
            places=(5, places),
            low=(_SIGNIFICAND_BITS + _LOW_BITS, large * small[:_LOW_BITS]),
            high=(_PRODUCT_BITS - _LOW_BITS, large * small[_LOW_BITS:]),
        )

    def _denormalise(self, m, multiplied):
        """Bring the leading one to the top, but not beyond the exponent where subnormals begin.

        It stands in one of the two top bits, or the product is subnormal and moves right. All
        that falls off is kept as one bit.
        """
        exponent, places = multiplied.exponent, multiplied.places
        product = Signal(_PRODUCT_BITS)
        upper = product[_REST_BITS:]
        up = Signal()
        normal = Signal(signed(11))
        m.d.comb += [
            product.eq(multiplied.low + (multiplied.high << _LOW_BITS)),
            up.eq(~product[-1] & (exponent > 1)),
            normal.eq(exponent - up),
        ]
        shifted = Signal(len(upper))
        m.d.comb += shifted.eq(Mux(up, product[_REST_BITS - 1 : -1], upper >> places))
        fallen = Signal(len(upper))
        # What moves right does so by `places`: the ones below them.
        m.d.comb += fallen.eq(upper & ~(Const(-1, signed(len(upper) + 1)) << places))
        rest = product[: _REST_BITS - 1].any() | (~up & product[_REST_BITS - 1]) | fallen.any()
        return self._step(
            m,
            "denormalise",
            **passed(multiplied, *_OUTCOME),
            overflow=(1, normal >= FP32.exponent_max),
            exponent=(8, Mux(shifted[-1], normal[:8], 0)),
            # 24 significand bits, then the tie bit and one bit for the rest
            significand=(_SIGNIFICAND_BITS + 2, Cat(rest, shifted)),
        )

    def _round(self, m, denormalised):
        """Round to nearest even; a carry out of the fraction raises the exponent."""
        rest, tie_or_more = denormalised.significand[0], denormalised.significand[1]
        fraction = denormalised.significand[2:-1]
        rounded = Signal(31)
        m.d.comb += rounded.eq(
            Cat(fraction, denormalised.exponent) + (tie_or_more & (rest | fraction[0]))
        )
        with m.If(denormalised.nan):
            m.d.sync += self.product.eq(FP32.quiet_nan)
        with m.Elif(denormalised.infinite | denormalised.overflow):
            m.d.sync += self.product.eq(Cat(Const(FP32.infinity, 31), denormalised.sign))
        with m.Else():
            m.d.sync += self.product.eq(Cat(rounded, denormalised.sign))


__all__ = ["REGISTERED_STEPS", "Fp32Multiplier"]
