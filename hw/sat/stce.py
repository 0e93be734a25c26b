"""SAT's array with its edges and control (STCE): runs whole passes from its edge buffers.

The clock behaviour is stated in `sparsesim.machines.sat.stepped_array`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.placed_instance import instance
from hw.ready_valid import StreamSignature
from hw.sat.stce_control import StceControl, start_signature, unit_signature
from hw.sat.stce_edges import StceNorth, StceSouth, StceWest
from hw.sat.uspe import OperationSignature, PartialSumSignature, Uspe, WeightSignature, selector
from sparsesim.machines.sat.array_ports import ArraySpec


class StceRow(wiring.Component):
    """One row of PEs.

    The row is a module so that the array is small and quick to convert and to lint.
    """

    def __init__(self, spec: ArraySpec, *, instances: bool = True):
        self.spec = spec
        self._instances = instances
        weights, sums = WeightSignature(spec.pe), PartialSumSignature()
        super().__init__(
            {
                "en": In(1),
                "block": In(data.ArrayLayout(16, spec.pe.m_max)),
                "op": In(OperationSignature(spec.pe)),
                "w_i": In(weights).array(spec.cols),
                "w_o": Out(weights).array(spec.cols),
                "p_i": In(sums).array(spec.cols),
                "p_o": Out(sums).array(spec.cols),
            }
        )

    @cached_property
    def parts(self) -> dict[str, Any]:
        """The modules that are placed, by the name they are converted under."""
        return {"uspe": Uspe(self.spec.pe)} if self._instances else {}

    def elaborate(self, _platform):
        m = Module()
        west_a, west_op = self.block, self.op
        for c in range(self.spec.cols):
            if self._instances:
                pe = instance(m, "uspe", self.parts["uspe"], f"pe_{c}")
            else:
                pe = m.submodules[f"pe_{c}"] = Uspe(self.spec.pe)
            m.d.comb += [pe.en.eq(self.en), pe.a_i.eq(west_a)]
            _feed(m, west_op, pe.op_i)
            _feed(m, self.w_i[c], pe.w_i)
            _feed(m, self.p_i[c], pe.p_i)
            _feed(m, pe.w_o, self.w_o[c])
            _feed(m, pe.p_o, self.p_o[c])
            west_a, west_op = pe.a_o, pe.op_o
        return m


_PARTS: dict[str, Callable[[ArraySpec], Any]] = {
    "stce_row": StceRow,
    "stce_west": StceWest,
    "stce_north": StceNorth,
    "stce_south": StceSouth,
    "stce_control": StceControl,
}


class Stce(wiring.Component):
    """`rows` x `cols` PEs, a west buffer per row, a north and a south buffer per column.

    Parameters
    ----------
    spec
        what it is made of
    instances
        True places each part as an instance of a module that is converted once (`parts`), which
        keeps a large array small and quick to emit. False elaborates every part, as Amaranth's
        own simulator needs.
    """

    def __init__(self, spec: ArraySpec, *, instances: bool = True):
        self.spec = spec
        self._instances = instances
        address = selector(spec.south_words)
        super().__init__(
            {
                "a": In(
                    StreamSignature(
                        {
                            "row": selector(spec.rows),
                            "address": selector(spec.west_blocks),
                            "block": data.ArrayLayout(16, spec.pe.m_max),
                        }
                    )
                ),
                "w": In(
                    StreamSignature(
                        {
                            "address": selector(spec.north_entries),
                            "value": data.ArrayLayout(16, spec.cols),
                            "index": data.ArrayLayout(8, spec.cols),
                        }
                    )
                ),
                "start": In(start_signature(spec)),
                "unit": In(unit_signature(spec)),
                "busy": Out(1),
                "frozen": Out(1),
                "p_valid": Out(spec.cols),
                "p_value": Out(data.ArrayLayout(32, spec.cols)),
                "o_read": In(1),
                "o_address": In(address),
                "o_valid": Out(1),
                "o_data": Out(data.ArrayLayout(32, spec.cols)),
            }
        )

    @cached_property
    def parts(self) -> dict[str, Any]:
        """The modules that are placed, by the name they are converted under."""
        if not self._instances:
            return {}
        return {name: make(self.spec) for name, make in _PARTS.items()}

    def elaborate(self, _platform):
        m = Module()
        spec = self.spec
        control = self._place(m, "stce_control", "control")
        west = [self._place(m, "stce_west", f"west_{r}") for r in range(spec.rows)]
        north = [self._place(m, "stce_north", f"north_{c}") for c in range(spec.cols)]
        south = [self._place(m, "stce_south", f"south_{c}") for c in range(spec.cols)]

        wiring.connect(m, wiring.flipped(self.start), control.start)
        wiring.connect(m, wiring.flipped(self.unit), control.unit)
        m.d.comb += [
            self.a.ready.eq(1),
            self.w.ready.eq(1),
            self.busy.eq(control.busy),
            self.frozen.eq(~control.en),
            control.landed.eq(south[-1].landed),
        ]
        m.d.sync += self.o_valid.eq(self.o_read & ~control.running)
        for r, row in enumerate(west):
            m.d.comb += [
                row.go.eq(control.go),
                row.skew.eq(control.skew),
                row.write.eq(self.a.valid & (self.a.row == r)),
                row.write_address.eq(self.a.address),
                row.write_block.eq(self.a.block),
            ]
            north_row = west[r - 1]
            _feed(m, control.row_command if r == 0 else north_row.command_o, row.command_i)
            _feed(m, control.drain if r == 0 else north_row.drain_o, row.drain_i)
        for c, column in enumerate(north):
            m.d.comb += [
                column.go.eq(control.go),
                column.write.eq(self.w.valid),
                column.write_address.eq(self.w.address),
                column.write_value.eq(self.w.value[c]),
                column.write_index.eq(self.w.index[c]),
            ]
            _feed(m, control.column_command if c == 0 else north[c - 1].command_o, column.command_i)

        above = None
        for r in range(spec.rows):
            row = self._place(m, "stce_row", f"row_{r}")
            m.d.comb += [row.en.eq(control.en), row.block.eq(west[r].block)]
            _feed(m, west[r].op, row.op)
            for c in range(spec.cols):
                _feed(m, above.w_o[c] if above else north[c].w, row.w_i[c])
                if above:
                    _feed(m, above.p_o[c], row.p_i[c])
            above = row
        for c, column in enumerate(south):
            m.d.comb += [
                column.en.eq(control.en),
                column.start.eq(control.begins),
                column.running.eq(control.running),
                column.accumulate.eq(control.accumulate),
                column.base.eq(control.o_base),
                column.read_address.eq(self.o_address),
                self.o_data[c].eq(Mux(self.o_valid, column.read_data, 0)),
                self.p_value[c].eq(above.p_o[c].value),
                self.p_valid[c].eq(above.p_o[c].valid),
            ]
            _feed(m, above.p_o[c], column.p)
        return m

    def _place(self, m, part, name):
        """One more of `part`: a submodule, or an instance of its module."""
        if self._instances:
            return instance(m, part, self.parts[part], name)
        if part == "stce_row":
            fresh = StceRow(self.spec, instances=False)
        else:
            fresh = _PARTS[part](self.spec)
        m.submodules[name] = fresh
        return fresh


def _feed(m, source, sink):
    """Connect field by field."""
    for field in sink.signature.members:
        m.d.comb += getattr(sink, field).eq(getattr(source, field))


__all__ = ["Stce"]
