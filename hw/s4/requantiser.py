"""INT32 sum to INT8: bias, multiplier, rounding shift, saturation, in a pipeline."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Steps that end in a register, by latency; a longer latency delays the result.
REGISTERED_STEPS: dict[int, tuple[str, ...]] = {
    1: ("saturate",),
    2: ("multiply", "saturate"),
    3: ("multiply", "shift", "saturate"),
    4: ("bias", "multiply", "shift", "saturate"),
}


class Requantiser(wiring.Component):
    """saturate((total + bias) x multiplier / 2^shift), to nearest, halves up; one per clock.

    The operands of clock t are in `result` in clock t + `latency`. With `relu` (given with the
    operands) the smallest result is 0.
    """

    def __init__(self, latency: int = 4):
        self.latency = latency
        super().__init__(
            {
                "total": In(signed(32)),
                "bias": In(signed(32)),
                "multiplier": In(signed(16)),
                "shift": In(6),
                "relu": In(1),
                "result": Out(signed(8)),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        registered = REGISTERED_STEPS[min(self.latency, max(REGISTERED_STEPS))]

        def step(name, **values):
            outcome = []
            for field, value in values.items():
                signal = Signal(value.shape(), name=f"{name}_{field}", reset_less=True)
                domain = m.d.sync if name in registered else m.d.comb
                domain += signal.eq(value)
                outcome.append(signal)
            return outcome

        biased, multiplier, shift, relu = step(
            "bias",
            value=self.total + self.bias,
            multiplier=self.multiplier,
            shift=self.shift,
            relu=self.relu,
        )
        product, shift, relu = step("multiply", value=biased * multiplier, shift=shift, relu=relu)
        half = Signal(63)
        m.d.comb += half.eq((Const(1, 64) << shift)[1:64])
        rounded = Signal(signed(65))
        m.d.comb += rounded.eq(product + half)
        shifted, relu = step("shift", value=rounded >> shift, relu=relu)
        least = Mux(relu, Const(0, signed(8)), Const(-128, signed(8)))
        saturated = Signal(signed(8))
        with m.If(shifted > 127):
            m.d.comb += saturated.eq(127)
        with m.Elif(shifted < least):
            m.d.comb += saturated.eq(least)
        with m.Else():
            m.d.comb += saturated.eq(shifted)
        (value,) = step("saturate", value=saturated)
        for number in range(self.latency - max(REGISTERED_STEPS)):
            later = Signal(signed(8), name=f"later_{number}", reset_less=True)
            m.d.sync += later.eq(value)
            value = later
        m.d.comb += self.result.eq(value)
        return m


__all__ = ["REGISTERED_STEPS", "Requantiser"]
