"""The unified sparse PE of SAT (docs/sat.md section 1; the rule numbers below are its)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Literal

from amaranth.hdl import Array, Const, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_adder import Fp32Adder
from hw.arith.fp16_multiplier import Fp16Multiplier
from sparsesim.machines.sat.spec import UspeSpec

#: What a PE can do: `both` is the unified PE, the others are what it is compared with.
Dataflows = Literal["both", "ws", "os"]


def selector(choices: int) -> int:
    """Bits of a field that selects one of `choices`; at least one, so that the port exists."""
    return max(1, (choices - 1).bit_length())


class OperationSignature(wiring.Signature):
    """What a PE does with a block of activations; travels with it from west to east."""

    def __init__(self, spec: UspeSpec):
        super().__init__(
            {
                "mac": Out(1),
                "drain": Out(1),
                "first": Out(1),
                "last": Out(1),
                "os": Out(1),
                "slot": Out(selector(spec.n_max)),
                "acc": Out(selector(spec.interleave)),
            }
        )


class WeightSignature(wiring.Signature):
    """A weight (FP16) and its position in the block; travels from north to south."""

    def __init__(self, spec: UspeSpec):
        super().__init__(
            {
                "load": Out(1),
                "row": Out(selector(spec.rows)),
                "slot": Out(selector(spec.n_max)),
                "value": Out(16),
                "index": Out(selector(spec.m_max)),
            }
        )


class PartialSumSignature(wiring.Signature):
    """A partial sum (FP32); travels from north to south."""

    def __init__(self):
        super().__init__({"valid": Out(1), "value": Out(32)})


class Uspe(wiring.Component):
    """One PE: an FP16 x FP16 multiplier, an FP32 adder, weight registers and accumulators.

    Synchronous reset wins over `en`; `en` low freezes every register. `op_i.slot` and
    `w_i.slot` must be below `n_max`, `op_i.acc` below `interleave`.

    A PE with one dataflow only takes what that needs: without output-stationary there are no
    `os` and `drain`, and with a single weight every product is the first and last of its sum, so
    that there are no accumulators; without weight-stationary there are no weight registers. Ports
    of what is not there are not read, and show 0.

    Parameters
    ----------
    spec
        what it is made of
    dataflows
        ``both``, or ``ws`` or ``os`` for a PE with that one only

    Raises
    ------
    ValueError
        `m_max` is not a power of two (`index` could point beyond the block).
    """

    def __init__(self, spec: UspeSpec, dataflows: Dataflows = "both"):
        if spec.m_max & (spec.m_max - 1):
            raise ValueError(f"m_max must be a power of two (got {spec.m_max})")
        self.spec = spec
        self.dataflows = dataflows
        block = data.ArrayLayout(16, spec.m_max)
        super().__init__(
            {
                "en": In(1),
                "a_i": In(block),
                "a_o": Out(block),
                "op_i": In(OperationSignature(spec)),
                "op_o": Out(OperationSignature(spec)),
                "w_i": In(WeightSignature(spec)),
                "w_o": Out(WeightSignature(spec)),
                "p_i": In(PartialSumSignature()),
                "p_o": Out(PartialSumSignature()),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        op, weight = self._inputs()
        self._forward(m, op, weight)
        weight_value, weight_index = self._select_weight(m, op, weight)
        accumulators = Array(
            Signal(32, name=f"accumulator_{i}") for i in range(self.spec.interleave)
        )

        m.submodules.multiplier = multiplier = Fp16Multiplier(self.spec.mul_latency)
        m.d.comb += [
            multiplier.x.eq(self.a_i.as_value().word_select(weight_index, 16)),
            multiplier.y.eq(weight_value),
        ]
        issued = self._delayed(m, "issued", op, self.spec.mul_latency)

        # Rule 4. A word from the north is taken by the first product of a weight-stationary sum.
        takes_north = Signal()
        addend = Signal(32)
        m.d.comb += takes_north.eq(issued.mac & issued.first & ~issued.os)
        with m.If(~issued.first):
            m.d.comb += addend.eq(accumulators[issued.acc])
        with m.Elif(takes_north & self.p_i.valid):
            m.d.comb += addend.eq(self.p_i.value)

        # Rule 5. The accumulator is the last register of the adder.
        m.submodules.adder = adder = Fp32Adder(self.spec.add_latency)
        m.d.comb += [adder.x.eq(addend), adder.y.eq(multiplier.product)]
        landing = self._delayed(m, "landing", issued, self.spec.add_latency - 1)
        with m.If(landing.mac):
            m.d.sync += accumulators[landing.acc].eq(adder.total)
        result_valid = Signal()
        result_value = Signal(32)
        m.d.sync += [
            result_valid.eq(landing.mac & landing.last & ~landing.os),
            result_value.eq(adder.total),
        ]

        # Rule 6.
        pass_valid = Signal()
        pass_value = Signal(32)
        with m.If(op.drain):
            m.d.sync += [pass_valid.eq(1), pass_value.eq(accumulators[op.acc])]
        with m.Else():
            m.d.sync += [
                pass_valid.eq(self.p_i.valid & ~takes_north),
                pass_value.eq(self.p_i.value),
            ]

        # Rule 7.
        m.d.comb += [
            self.p_o.valid.eq(result_valid | pass_valid),
            self.p_o.value.eq(Mux(result_valid, result_value, Mux(pass_valid, pass_value, 0))),
        ]
        return EnableInserter(self.en)(m)

    def _inputs(self):
        """The operation and the weight as this PE reads them: what it has not is constant."""
        constant = {"op": {}, "w": {}}
        if self.dataflows == "ws":
            constant["op"] = {"os": 0, "drain": 0}
            if self.spec.n_max == 1:
                constant["op"] |= {"first": 1, "last": 1, "slot": 0, "acc": 0}
                constant["w"] = {"slot": 0}
        elif self.dataflows == "os":
            constant = {"op": {"os": 1, "slot": 0}, "w": {"load": 0, "row": 0, "slot": 0}}
        if self.dataflows != "both" and self.spec.m_max == 1:
            constant["w"]["index"] = 0
        for side, port in (("op", self.op_i), ("w", self.w_i)):
            yield SimpleNamespace(
                **{
                    field: Const(constant[side][field], len(signal))
                    if field in constant[side]
                    else signal
                    for field in port.signature.members
                    for signal in (getattr(port, field),)
                }
            )

    def _forward(self, m, op, weight):
        """Rules 1 and 2: everything goes on to the neighbour one clock later."""
        m.d.sync += self.a_o.eq(self.a_i)
        for field, now in vars(op).items():
            if not isinstance(now, Const):
                m.d.sync += getattr(self.op_o, field).eq(now)
        for field in ("slot", "value", "index"):
            now = getattr(weight, field)
            if not isinstance(now, Const):
                m.d.sync += getattr(self.w_o, field).eq(now)
        if self.dataflows == "os":
            return
        goes_on = weight.load & weight.row.any()
        m.d.sync += [
            self.w_o.load.eq(goes_on),
            self.w_o.row.eq(weight.row - goes_on),
        ]

    def _select_weight(self, m, op, weight):
        """Rules 2 and 3: the weight registers, and the weight this clock's `mac` takes."""
        if self.dataflows == "os":
            return weight.value, weight.index
        entries = range(self.spec.n_max)
        values = Array(Signal(16, name=f"weight_value_{i}") for i in entries)
        indices = Array(Signal(len(weight.index), name=f"weight_index_{i}") for i in entries)
        with m.If(weight.load & ~weight.row.any()):
            m.d.sync += [
                values[weight.slot].eq(weight.value),
                indices[weight.slot].eq(weight.index),
            ]
        return (
            Mux(op.os, weight.value, values[op.slot]),
            Mux(op.os, weight.index, indices[op.slot]),
        )

    @staticmethod
    def _delayed(m, name, operation, clocks):
        """`operation` some clocks later, as far as the adder and the accumulators need it."""
        for clock in range(1, clocks + 1):
            later = SimpleNamespace()
            for field in ("mac", "first", "last", "os", "acc"):
                now = getattr(operation, field)
                if isinstance(now, Const):
                    setattr(later, field, now)
                    continue
                register = Signal(len(now), name=f"{name}_{clock}_{field}")
                m.d.sync += register.eq(now)
                setattr(later, field, register)
            operation = later
        return operation


__all__ = [
    "Dataflows",
    "OperationSignature",
    "PartialSumSignature",
    "Uspe",
    "WeightSignature",
    "selector",
]
