"""The edges of SAT's array: what feeds one row, what feeds one column, what catches one column.

Each is a module of its own, emitted once and placed many times. `go` is the clock enable of the
control, `en` that of the array, one clock later: commands read a buffer in one clock and reach the
array with what was read in the next.
"""

from __future__ import annotations

from types import SimpleNamespace

from amaranth.hdl import Array, EnableInserter, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.float_adder import Fp32Adder
from hw.sat.uspe import OperationSignature, PartialSumSignature, WeightSignature, selector
from sparsesim.machines.sat.array_ports import ArraySpec

_CONTROL = ("mac", "drain", "load")


class RowCommandSignature(wiring.Signature):
    """What row 0 issues, and the west buffer address of its block; goes from row to row."""

    def __init__(self, spec: ArraySpec):
        super().__init__(
            {
                "mac": Out(1),
                "first": Out(1),
                "last": Out(1),
                "os": Out(1),
                "slot": Out(selector(spec.pe.n_max)),
                "acc": Out(selector(spec.pe.interleave)),
                "address": Out(selector(spec.west_blocks)),
            }
        )


class DrainSignature(wiring.Signature):
    """An accumulator to drain; goes from row to row in two clocks."""

    def __init__(self, spec: ArraySpec):
        super().__init__({"drain": Out(1), "acc": Out(selector(spec.pe.interleave))})


class ColumnCommandSignature(wiring.Signature):
    """A weight to send south, and where in the north buffer it is; goes from column to column."""

    def __init__(self, spec: ArraySpec):
        super().__init__(
            {
                "load": Out(1),
                "row": Out(selector(spec.rows)),
                "slot": Out(selector(spec.pe.n_max)),
                "address": Out(selector(spec.north_entries)),
            }
        )


def _later(m, name, command, clocks):
    """Registers that hold `command` 1, 2, ... `clocks` clocks later; what commands is reset."""
    stages = []
    for clock in range(1, clocks + 1):
        later = SimpleNamespace()
        for field in command.signature.members if clock == 1 else vars(stages[-1]):
            now = getattr(command if clock == 1 else stages[-1], field)
            register = Signal(
                len(now), name=f"{name}_{clock}_{field}", reset_less=field not in _CONTROL
            )
            m.d.sync += register.eq(now)
            setattr(later, field, register)
        stages.append(later)
    return stages


def _drive(m, command, source):
    for field in command.signature.members:
        m.d.comb += getattr(command, field).eq(getattr(source, field))


class StceWest(wiring.Component):
    """The west edge of one array row: its buffer, and the delay to the next row.

    `skew` is that delay in clocks, less one.
    """

    def __init__(self, spec: ArraySpec):
        self.spec = spec
        block = data.ArrayLayout(16, spec.pe.m_max)
        super().__init__(
            {
                "go": In(1),
                "skew": In(selector(spec.longest_skew)),
                "write": In(1),
                "write_address": In(selector(spec.west_blocks)),
                "write_block": In(block),
                "command_i": In(RowCommandSignature(spec)),
                "command_o": Out(RowCommandSignature(spec)),
                "drain_i": In(DrainSignature(spec)),
                "drain_o": Out(DrainSignature(spec)),
                "op": Out(OperationSignature(spec.pe)),
                "block": Out(block),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        # As one word: the converter names memories of structures by their fields.
        m.submodules.buffer = buffer = memory.Memory(
            shape=16 * self.spec.pe.m_max, depth=self.spec.west_blocks, init=[]
        )
        write = buffer.write_port()
        read = buffer.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_block.as_value()),
            read.en.eq(self.go),
            read.addr.eq(self.command_i.address),
            self.block.eq(read.data),
        ]

        steps = Module()
        taps = _later(steps, "command", self.command_i, self.spec.longest_skew)
        for field in self.command_i.signature.members:
            chosen = Array(getattr(tap, field) for tap in taps)[self.skew]
            steps.d.comb += getattr(self.command_o, field).eq(chosen)
        drains = _later(steps, "drain", self.drain_i, 2)
        _drive(steps, self.drain_o, drains[-1])
        for field in ("mac", "first", "last", "os", "slot"):
            steps.d.sync += getattr(self.op, field).eq(getattr(self.command_i, field))
        steps.d.sync += [
            self.op.drain.eq(self.drain_i.drain),
            self.op.acc.eq(Mux(self.drain_i.drain, self.drain_i.acc, self.command_i.acc)),
        ]
        m.submodules.steps = EnableInserter(self.go)(steps)
        return m


class StceNorth(wiring.Component):
    """The north edge of one array column: its buffer of weights, one command on to the next."""

    def __init__(self, spec: ArraySpec):
        self.spec = spec
        super().__init__(
            {
                "go": In(1),
                "write": In(1),
                "write_address": In(selector(spec.north_entries)),
                "write_value": In(16),
                "write_index": In(selector(spec.pe.m_max)),
                "command_i": In(ColumnCommandSignature(spec)),
                "command_o": Out(ColumnCommandSignature(spec)),
                "w": Out(WeightSignature(spec.pe)),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.buffer = buffer = memory.Memory(
            shape=16 + len(self.write_index), depth=self.spec.north_entries, init=[]
        )
        write = buffer.write_port()
        read = buffer.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data[:16].eq(self.write_value),
            write.data[16:].eq(self.write_index),
            read.en.eq(self.go),
            read.addr.eq(self.command_i.address),
            self.w.value.eq(read.data[:16]),
            self.w.index.eq(read.data[16:]),
        ]
        steps = Module()
        _drive(steps, self.command_o, _later(steps, "command", self.command_i, 1)[0])
        for field in ("load", "row", "slot"):
            m.d.comb += getattr(self.w, field).eq(getattr(self.command_o, field))
        m.submodules.steps = EnableInserter(self.go)(steps)
        return m


class StceSouth(wiring.Component):
    """The south edge of one array column: accumulates its words into a buffer.

    The buffer is read in the clock a word arrives; the sum is written `add_latency` clocks later.
    While no pass runs the buffer is read at `read_address`.
    """

    def __init__(self, spec: ArraySpec):
        self.spec = spec
        address = selector(spec.south_words)
        super().__init__(
            {
                "en": In(1),
                "start": In(1),
                "running": In(1),
                "accumulate": In(1),
                "base": In(address),
                "p": In(PartialSumSignature()),
                "landed": Out(1),
                "read_address": In(address),
                "read_data": Out(32),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.buffer = buffer = memory.Memory(shape=32, depth=self.spec.south_words, init=[])
        write = buffer.write_port()
        read = buffer.read_port()
        count = Signal(len(self.base))
        arrives = Signal()
        address = Signal(len(self.base))
        m.d.comb += [
            arrives.eq(self.en & self.running & self.p.valid),
            address.eq(self.base + count),
            read.en.eq(1),
            read.addr.eq(Mux(self.running, address, self.read_address)),
            self.read_data.eq(read.data),
        ]
        with m.If(self.start):
            m.d.sync += count.eq(0)
        with m.Elif(arrives):
            m.d.sync += count.eq(count + 1)

        m.submodules.adder = adder = Fp32Adder(self.spec.pe.add_latency)
        word = Signal(32, reset_less=True)
        m.d.sync += word.eq(self.p.value)
        m.d.comb += [adder.x.eq(Mux(self.accumulate, read.data, 0)), adder.y.eq(word)]
        for clock in range(self.spec.pe.add_latency):
            valid = Signal(name=f"adding_{clock}")
            target = Signal(len(self.base), name=f"target_{clock}", reset_less=True)
            m.d.sync += [valid.eq(arrives), target.eq(address)]
            arrives, address = valid, target
        m.d.comb += [
            write.en.eq(arrives),
            write.addr.eq(address),
            write.data.eq(adder.total),
            self.landed.eq(arrives),
        ]
        return m


__all__ = [
    "ColumnCommandSignature",
    "DrainSignature",
    "RowCommandSignature",
    "StceNorth",
    "StceSouth",
    "StceWest",
]
