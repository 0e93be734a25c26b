"""A lane of SAT's weight update engine (WUVE): SGD with momentum, decay and the SR-STE term.

Arithmetic and clock behaviour are stated in `sparsesim.machines.sat.stepped_update_engine`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_adder import Fp32Adder
from hw.arith.float_multiplier import Fp32Multiplier
from hw.arith.fp16_conversion import Fp16ToFp32, Fp32ToFp16
from hw.ready_valid import StreamSignature
from sparsesim.machines.sat.update_lane_ports import UpdateLaneSpec


class Wuve(wiring.Component):
    """One lane: three FP32 multipliers, three FP32 adders, one element per clock.

    The pipeline is rigid: it steps where the output is empty or taken.
    """

    def __init__(self, spec: UpdateLaneSpec):
        self.spec = spec
        super().__init__(
            {
                "i": In(
                    StreamSignature({"gradient": 16, "weight": 32, "velocity": 32, "pruned": 1})
                ),
                "learning_rate": In(32),
                "momentum": In(32),
                "decay": In(32),
                "decay_pruned": In(32),
                "o": Out(StreamSignature({"weight": 32, "velocity": 32, "half": 16})),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        to_multiply, to_add = self.spec.mul_latency, self.spec.add_latency
        to_rate = to_multiply + 2 * to_add
        to_weight = to_rate + to_multiply

        moves = Signal()
        m.d.comb += [moves.eq(~self.o.valid | self.o.ready), self.i.ready.eq(moves)]
        inside = Signal(to_weight + to_add + 1)
        m.d.sync += inside.eq(Cat(self.i.valid, inside))

        # d = g + c w
        m.submodules.widen = widen = Fp16ToFp32()
        m.d.comb += widen.half.eq(self._later(m, "gradient", self.i.gradient, to_multiply - 1))
        gradient = self._later(m, "widened", widen.single, 1)
        coefficient = Mux(self.i.pruned, self.decay_pruned, self.decay)
        decayed = self._product(m, "decayed", coefficient, self.i.weight)
        descent = self._sum(m, "descent", gradient, decayed)

        # v' = momentum v + d
        carried = self._product(m, "carried", self.momentum, self.i.velocity)
        carried = self._later(m, "carried", carried, to_add)
        velocity = self._sum(m, "new_velocity", carried, descent)

        # w' = w - learning_rate v'
        change = self._product(m, "change", self.learning_rate, velocity)
        weight = self._later(m, "weight", self.i.weight, to_weight)
        weight = self._sum(m, "new_weight", weight, Cat(change[:31], ~change[31]))
        velocity = self._later(m, "velocity", velocity, to_multiply + to_add)

        m.submodules.round = rounder = Fp32ToFp16()
        m.d.comb += rounder.single.eq(weight)
        m.d.comb += self.o.valid.eq(inside[-1])
        for name, value in (("weight", weight), ("velocity", velocity), ("half", rounder.half)):
            shown = self._later(m, f"out_{name}", value, 1)
            m.d.comb += getattr(self.o, name).eq(Mux(self.o.valid, shown, 0))
        return EnableInserter(moves)(m)

    def _product(self, m, name, x, y):
        m.submodules[f"multiply_{name}"] = unit = Fp32Multiplier(self.spec.mul_latency)
        m.d.comb += [unit.x.eq(x), unit.y.eq(y)]
        return unit.product.as_value()

    def _sum(self, m, name, x, y):
        m.submodules[f"add_{name}"] = unit = Fp32Adder(self.spec.add_latency)
        m.d.comb += [unit.x.eq(x), unit.y.eq(y)]
        return self._later(m, f"sum_{name}", unit.total, 1)

    @staticmethod
    def _later(m, name, value, clocks):
        """`value` some steps later; data need no reset."""
        for clock in range(1, clocks + 1):
            register = Signal(len(Value.cast(value)), name=f"{name}_{clock}", reset_less=True)
            m.d.sync += register.eq(value)
            value = register
        return value


__all__ = ["Wuve"]
