"""FP64 adder, round to nearest even, pipelined between its four steps."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.leading_zeros import normalise

FRACTION = 52
EXPONENT = 11
EXPONENT_MAX = 2**EXPONENT - 1
INFINITY = EXPONENT_MAX << FRACTION
QUIET_NAN = INFINITY | 1 << (FRACTION - 1)
#: significand with the hidden one, then guard, round and sticky
_ALIGNED = FRACTION + 4
#: Steps that end in a register, by latency; the register behind `round` belongs to the user.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: (),
    2: ("add",),
    3: ("align", "add"),
    4: ("align", "add", "normalise"),
}


class Fp64Adder(wiring.Component):
    """Sum of two binary64 numbers, rounded to nearest, ties to even.

    Subnormals are operands and results; x + (-x) is +0; Inf - Inf and NaN operands give the
    canonical NaN; overflow gives infinity. One sum per clock; the component holds ``latency - 1``
    registers and ends in logic.
    """

    def __init__(self, latency: int = 1):
        if latency not in REGISTERED_STEPS:
            raise ValueError(f"latency must be 1 to {max(REGISTERED_STEPS)} (got {latency})")
        self.latency = latency
        super().__init__({"x": In(64), "y": In(64), "total": Out(64)})

    def _step(self, m, step, **values):
        """Outcomes of a step, in registers if this latency puts them behind the step."""
        domain = m.d.sync if step in REGISTERED_STEPS[self.latency] else m.d.comb
        outcome = []
        for name, (width, value) in values.items():
            signal = Signal(width, name=f"{step}_{name}", reset_less=True)
            domain += signal.eq(value)
            outcome.append(signal)
        return outcome

    def elaborate(self, _platform):
        m = Module()
        x, y = self.x, self.y

        # Align: the smaller magnitude is shifted to the exponent of the larger.
        large, small = Signal(64), Signal(64)
        with m.If(x[:63] < y[:63]):
            m.d.comb += [large.eq(y), small.eq(x)]
        with m.Else():
            m.d.comb += [large.eq(x), small.eq(y)]
        exponent, distance = Signal(EXPONENT), Signal(EXPONENT)
        wide = Signal(_ALIGNED)
        shifted = Signal(2 * _ALIGNED)
        far = Signal()
        large_e, small_e = large[FRACTION:63], small[FRACTION:63]
        # A subnormal has the exponent of the smallest normal, without the hidden one.
        m.d.comb += [
            exponent.eq(large_e | ~large_e.any()),
            distance.eq(exponent - (small_e | ~small_e.any())),
            wide.eq(Cat(Const(0, 3), small[:FRACTION], small_e.any())),
            far.eq(distance >= _ALIGNED),
            shifted.eq(Cat(Const(0, _ALIGNED), wide) >> distance[:6]),
        ]
        sticky = shifted[: _ALIGNED + 1].any()
        infinite = large_e == EXPONENT_MAX
        subtract = large[63] ^ small[63]
        nan = infinite & (large[:FRACTION].any() | ((small_e == EXPONENT_MAX) & subtract))
        flags = Cat(large[63], x[63] & y[63], nan, infinite)
        flags, minus, exponent, one, other = self._step(
            m,
            "align",
            flags=(4, flags),
            minus=(1, subtract),
            exponent=(EXPONENT, exponent),
            larger=(_ALIGNED, Cat(Const(0, 3), large[:FRACTION], large_e.any())),
            smaller=(_ALIGNED, Mux(far, wide.any(), Cat(sticky, shifted[_ALIGNED + 1 :]))),
        )

        # Add: the carry becomes the top bit, of weight exponent + 1.
        total = Mux(minus, one - other, one + other)[: _ALIGNED + 1]
        flags, exponent, total = self._step(
            m,
            "add",
            flags=(4, flags),
            exponent=(EXPONENT, exponent),
            total=(_ALIGNED + 1, total),
        )

        # Normalise: no further left than to where the subnormals begin.
        limit = Signal(_ALIGNED + 1)
        m.d.comb += limit.eq(Mux(exponent > _ALIGNED, 0, (1 << _ALIGNED) >> exponent[:6]))
        _, zeros = normalise(m, "limit", total | limit)
        moved = Signal(_ALIGNED + 1)
        lowered = Signal(EXPONENT)
        m.d.comb += [moved.eq(total << zeros), lowered.eq(exponent + 1 - zeros)]
        flags, exponent, total = self._step(
            m,
            "normalise",
            flags=(4, flags),
            exponent=(EXPONENT, Mux(moved[-1], lowered, 0)),
            total=(_ALIGNED + 1, moved),
        )

        # Round: a carry out of the fraction raises the exponent.
        sign, zero_sign, nan, infinite = flags
        up = Signal()
        rounded = Signal(63)
        fraction = total[4:-1]
        m.d.comb += [
            up.eq(total[3] & (total[:3].any() | fraction[0])),
            rounded.eq(Cat(fraction, exponent) + up),
        ]
        with m.If(nan):
            m.d.comb += self.total.eq(QUIET_NAN)
        with m.Elif(infinite | (exponent == EXPONENT_MAX)):
            m.d.comb += self.total.eq(Cat(Const(INFINITY, 63), sign))
        with m.Elif(~rounded.any()):
            m.d.comb += self.total.eq(Cat(Const(0, 63), zero_sign))
        with m.Else():
            m.d.comb += self.total.eq(Cat(rounded, sign))
        return m


__all__ = ["REGISTERED_STEPS", "Fp64Adder"]
