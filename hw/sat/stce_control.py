"""The control of SAT's array: one pass from the loading of the weights to the last landed sum."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.ready_valid import StreamSignature
from hw.sat.stce_edges import ColumnCommandSignature, DrainSignature, RowCommandSignature
from hw.sat.uspe import selector
from sparsesim.machines.sat.array_ports import ArraySpec


def start_signature(spec: ArraySpec) -> StreamSignature:
    """What a pass is."""
    return StreamSignature(
        {
            "os": 1,
            "kept": spec.pe.n_max.bit_length(),
            "used": spec.pe.interleave.bit_length(),
            "accumulate": 1,
            "a_base": selector(spec.west_blocks),
            "w_base": selector(spec.north_entries),
            "o_base": selector(spec.south_words),
        }
    )


def unit_signature(spec: ArraySpec) -> StreamSignature:
    """A fetch unit: result rows (WS) or groups (OS) that the west buffers hold."""
    return StreamSignature({"count": selector(spec.west_blocks) + 1, "last": 1})


class StceControl(wiring.Component):
    """Issues the order of `sparsesim.machines.sat.issue_sequence` at row 0 and column 0.

    `go` is low in the clocks in which the next unit is needed and not there; commands are
    combinational, `en` follows `go` one clock later.
    """

    def __init__(self, spec: ArraySpec):
        self.spec = spec
        super().__init__(
            {
                "start": In(start_signature(spec)),
                "unit": In(unit_signature(spec)),
                "landed": In(1),
                "go": Out(1),
                "en": Out(1, init=1),
                "busy": Out(1),
                "begins": Out(1),
                "running": Out(1),
                "accumulate": Out(1),
                "o_base": Out(selector(spec.south_words)),
                "skew": Out(selector(spec.longest_skew)),
                "row_command": Out(RowCommandSignature(spec)),
                "drain": Out(DrainSignature(spec)),
                "column_command": Out(ColumnCommandSignature(spec)),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        spec, pe = self.spec, self.spec.pe
        running, started = Signal(), Signal()
        os, kept, used = Signal(), Signal(len(self.start.kept)), Signal(len(self.start.used))
        m.d.comb += [
            self.start.ready.eq(~running),
            self.begins.eq(self.start.valid & ~running),
            self.running.eq(running),
        ]

        # The unit in use: what is left of it, and where in its current round the issue is.
        in_unit, unit_last, finished = Signal(), Signal(), Signal()
        left = Signal(len(self.unit.count))
        slot = Signal(selector(pe.n_max))
        turn = Signal(selector(spec.round_clocks))
        base = Signal(selector(spec.west_blocks))
        first_group = Signal()
        loading = Signal()

        takes, frozen, issues = Signal(), Signal(), Signal()
        needs = running & ~finished & ~in_unit
        m.d.comb += [
            takes.eq(needs & self.unit.valid & ~loading),
            self.unit.ready.eq(needs & ~loading),
            frozen.eq(needs & ~takes & started),
            issues.eq(in_unit | takes),
            self.go.eq(~frozen),
        ]
        now_left = Signal.like(left)
        now_last = Signal()
        sole = Signal()  # one kept value, weight-stationary: a result row per clock
        in_round = Signal(len(self.start.used))
        m.d.comb += [
            now_left.eq(Mux(takes, self.unit.count, left)),
            now_last.eq(Mux(takes, self.unit.last, unit_last)),
            sole.eq(~os & (kept == 1)),
        ]
        with m.If(os):
            m.d.comb += in_round.eq(used)
        with m.Elif(sole):
            m.d.comb += in_round.eq(1)
        with m.Elif(now_left < pe.interleave):
            m.d.comb += in_round.eq(now_left)
        with m.Else():
            m.d.comb += in_round.eq(pe.interleave)

        last_slot, last_turn, last_block, mac = Signal(), Signal(), Signal(), Signal()
        after = Signal.like(left)
        m.d.comb += [
            last_slot.eq(slot + 1 == kept),
            last_turn.eq(sole | (turn == spec.round_clocks - 1)),
            after.eq(now_left - Mux(os, 1, in_round)),
            last_block.eq(~after.any()),
            mac.eq(issues & (turn < in_round)),
        ]
        ends = now_last & last_block & last_slot & (turn + 1 == in_round)
        m.d.comb += [
            self.row_command.mac.eq(mac),
            self.row_command.os.eq(mac & os),
            self.row_command.first.eq(mac & ~slot.any() & (~os | first_group)),
            self.row_command.last.eq(mac & last_slot & (~os | (now_last & last_block))),
            self.row_command.slot.eq(Mux(os, 0, slot)),
            self.row_command.acc.eq(turn),
            self.row_command.address.eq(base + turn),
        ]
        with m.If(issues):
            m.d.sync += [
                started.eq(1),
                in_unit.eq(~(last_turn & last_slot & last_block)),
                unit_last.eq(now_last),
                left.eq(now_left),
                turn.eq(Mux(last_turn, 0, turn + 1)),
            ]
            with m.If(last_turn):
                m.d.sync += slot.eq(Mux(last_slot, 0, slot + 1))
                with m.If(last_slot):
                    m.d.sync += [left.eq(after), base.eq(base + in_round), first_group.eq(0)]
            with m.If(ends):
                m.d.sync += [finished.eq(1), in_unit.eq(0)]

        self._send_weights(m, issues, last_turn, os, kept, loading)
        self._drain(m, issues & ends & os, used)

        # The pass is over with the clock in which the last sum of the last column is written.
        expected = Signal(range(spec.south_words + 1))
        landed = Signal.like(expected)
        over = finished & self.landed & (landed + 1 == expected)
        m.d.sync += landed.eq(landed + self.landed)
        with m.If(takes & ~os):
            m.d.sync += expected.eq(expected + self.unit.count)
        with m.If(over):
            m.d.sync += running.eq(0)
        with m.If(self.begins):
            m.d.sync += [
                running.eq(1),
                os.eq(self.start.os),
                kept.eq(self.start.kept),
                used.eq(self.start.used),
                self.accumulate.eq(self.start.accumulate),
                self.o_base.eq(self.start.o_base),
                self.skew.eq(
                    Mux(
                        self.start.os,
                        0,
                        (self.start.kept - 1)[: len(kept)] * spec.round_clocks + pe.add_latency - 1,
                    )
                ),
                base.eq(self.start.a_base),
                expected.eq(Mux(self.start.os, self.start.used * spec.rows, 0)),
                landed.eq(0),
                turn.eq(0),
                slot.eq(0),
                *(flag.eq(0) for flag in (started, finished, in_unit)),
                first_group.eq(1),
            ]

        was_running = Signal()
        m.d.sync += [was_running.eq(running), self.en.eq(self.go)]
        m.d.comb += self.busy.eq(running & was_running)
        return m

    def _send_weights(self, m, issues, last_turn, os, kept, loading):
        """WS: the weights of all rows first, deepest row first. OS: one entry per round.

        Both read the north buffers in ascending order.
        """
        row = Signal(selector(self.spec.rows))
        slot = Signal(selector(self.spec.pe.n_max))
        address = Signal(selector(self.spec.north_entries))
        m.d.comb += [
            self.column_command.load.eq(loading),
            self.column_command.row.eq(row),
            self.column_command.slot.eq(slot),
            self.column_command.address.eq(address),
        ]
        last_slot = slot + 1 == kept
        with m.If(loading):
            m.d.sync += [address.eq(address + 1), slot.eq(Mux(last_slot, 0, slot + 1))]
            with m.If(last_slot):
                m.d.sync += row.eq(row - 1)
                with m.If(~row.any()):
                    m.d.sync += loading.eq(0)
        with m.Elif(issues & os & last_turn):
            m.d.sync += address.eq(address + 1)
        with m.If(self.begins):
            m.d.sync += [
                loading.eq(~self.start.os),
                row.eq(self.spec.rows - 1),
                slot.eq(0),
                address.eq(self.start.w_base),
            ]

    def _drain(self, m, last_issue, used):
        """OS: accumulator after accumulator, `rows` clocks apart, when the last sum has landed."""
        wait_first = self.spec.pe.mul_latency + self.spec.pe.add_latency - 1
        wait = Signal(range(max(wait_first, self.spec.rows - 1) + 1))
        draining = Signal()
        acc = Signal(selector(self.spec.pe.interleave))
        drains = draining & ~wait.any()
        m.d.comb += [self.drain.drain.eq(drains), self.drain.acc.eq(acc)]
        with m.If(last_issue):
            m.d.sync += [draining.eq(1), wait.eq(wait_first), acc.eq(0)]
        with m.Elif(drains):
            m.d.sync += [wait.eq(self.spec.rows - 1), acc.eq(acc + 1)]
            with m.If(acc + 1 == used):
                m.d.sync += draining.eq(0)
        with m.Elif(draining):
            m.d.sync += wait.eq(wait - 1)


__all__ = ["StceControl", "start_signature", "unit_signature"]
