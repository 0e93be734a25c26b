"""The SPU tile of S4: lanes that select by index, multiply and accumulate; drain, requantisation.

The clock behaviour is stated in `sparsesim.machines.s4.stepped_spu_tile`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.ready_valid import StreamSignature
from hw.s4.requantiser import Requantiser
from sparsesim.machines.s4.spu_tile_ports import SpuTileSpec


class SpuTile(wiring.Component):
    """rows x cols INT8 lanes, one step of (index, value) pairs per clock.

    The pipeline is rigid: it steps where the output is empty or taken. `Bf16Tile` has other lanes
    and results, and the same flow.
    """

    #: Clocks from a step to the next: those of the accumulating adder.
    step_clocks = 1

    def __init__(self, spec: SpuTileSpec):
        self.spec = spec
        super().__init__(
            {
                "a": In(StreamSignature({"values": 8 * spec.rows * spec.group})),
                "w": In(
                    StreamSignature(
                        {
                            "values": 8 * spec.cols,
                            "indices": spec.index_bits * spec.cols,
                            "group_last": 1,
                            "tile_last": 1,
                        }
                    )
                ),
                "q": In(
                    StreamSignature(
                        {
                            "column": max(1, (spec.cols - 1).bit_length()),
                            "bias": 32,
                            "multiplier": 16,
                            "shift": 6,
                        }
                    )
                ),
                "relu": In(1),
                "o": Out(StreamSignature({"values": 8 * spec.drain_results, "last": 1})),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        spec, a, w = self.spec, self.a, self.w
        moves, issues, rests = Signal(), Signal(), Signal()
        first = Signal(init=1)
        drain_wait = Signal(range(spec.tile_words + 1))
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            issues.eq(moves & a.valid & w.valid & ~rests & (~w.tile_last | (drain_wait <= 1))),
            w.ready.eq(issues),
            a.ready.eq(issues & (w.group_last | w.tile_last)),
        ]
        if self.step_clocks > 1:
            step_wait = Signal(range(self.step_clocks))
            m.d.comb += rests.eq(step_wait.any())
            with m.If(issues):
                m.d.sync += step_wait.eq(self.step_clocks - 1)
            with m.Elif(rests):
                m.d.sync += step_wait.eq(step_wait - 1)
        with m.If(drain_wait.any()):
            m.d.sync += drain_wait.eq(drain_wait - 1)
        with m.If(issues):
            m.d.sync += first.eq(w.tile_last)
            with m.If(w.tile_last):
                m.d.sync += drain_wait.eq(spec.tile_words)

        # Flags beside the lanes: selected, multiplied, and a finished tile that moves to the drain.
        selected, selected_first, selected_last = Signal(), Signal(), Signal()
        multiplied, multiplied_first, multiplied_last = Signal(), Signal(), Signal()
        full = Signal()
        m.d.sync += [
            selected.eq(issues),
            selected_first.eq(first),
            selected_last.eq(w.tile_last),
            multiplied.eq(selected),
            multiplied_first.eq(selected_first),
            multiplied_last.eq(selected_last),
        ]
        lands, lands_last = multiplied, multiplied_last
        for clock in range(1, self.step_clocks):
            later = Signal(name=f"adding_{clock}"), Signal(name=f"adding_{clock}_last")
            m.d.sync += [later[0].eq(lands), later[1].eq(lands_last)]
            lands, lands_last = later
        m.d.sync += full.eq(lands & lands_last)

        # The drain register: a whole tile, whose lowest row leaves word by word.
        drain = [
            [
                Signal(signed(32), name=f"drain_{row}_{col}", reset_less=True)
                for col in range(spec.cols)
            ]
            for row in range(spec.rows)
        ]
        sums = self._lanes(m, moves, lands, multiplied_first)
        self._drain(m, moves, drain, sums, full)
        return EnableInserter(moves)(m)

    def _lanes(self, m, _moves, lands, replaces):
        """The accumulators of all lanes, by row and filter.

        `lands`: a sum is at the accumulators; `replaces`: the product at the adders is the first
        of its tile.
        """
        spec = self.spec
        weights = []
        for col in range(spec.cols):
            weight = Signal(signed(8), name=f"weight_{col}", reset_less=True)
            m.d.sync += weight.eq(self.w.values.word_select(col, 8))
            weights.append(weight)
        return [
            [self._lane(m, row, col, weights[col], lands, replaces) for col in range(spec.cols)]
            for row in range(spec.rows)
        ]

    def _lane(self, m, row, col, weight, adds, replaces):
        """One lane: G:1 select, multiply, accumulate; returns its accumulator."""
        spec = self.spec
        name = f"{row}_{col}"
        group = self.a.values.word_select(row, 8 * spec.group)
        index = self.w.indices.word_select(col, spec.index_bits)
        operand = Signal(signed(8), name=f"operand_{name}", reset_less=True)
        product = Signal(signed(16), name=f"product_{name}", reset_less=True)
        total = Signal(signed(32), name=f"sum_{name}", reset_less=True)
        m.d.sync += [
            operand.eq(group.word_select(index, 8)),
            product.eq(operand * weight),
        ]
        with m.If(adds):
            m.d.sync += total.eq(Mux(replaces, 0, total) + product)
        return total

    def _drain(self, m, moves, drain, sums, full):
        """Words of the drain register through requantisation to the output."""
        spec = self.spec
        left = Signal(range(spec.tile_words + 1))
        part = Signal(range(spec.row_words))
        row_ends = Signal()
        m.d.comb += row_ends.eq(part == spec.row_words - 1)
        with m.If(left.any()):
            m.d.sync += [left.eq(left - 1), part.eq(Mux(row_ends, 0, part + 1))]
        with m.If(full):
            m.d.sync += [left.eq(spec.tile_words), part.eq(0)]
        for row in range(spec.rows):
            for col in range(spec.cols):
                with m.If(full):
                    m.d.sync += drain[row][col].eq(sums[row][col])
                if row + 1 < spec.rows:
                    with m.Elif(left.any() & row_ends):
                        m.d.sync += drain[row][col].eq(drain[row + 1][col])

        results = self._results(m, moves, drain[0], left, part)
        valid = Signal(spec.quant_latency)
        last = Signal(spec.quant_latency)
        m.d.sync += [
            valid.eq(Cat(left.any(), valid)),
            last.eq(Cat(left == 1, last)),
        ]
        m.d.comb += [
            self.o.valid.eq(valid[-1]),
            self.o.last.eq(last[-1]),
            self.o.values.eq(Mux(self.o.valid, Cat(*results), 0)),
        ]

    def _results(self, m, moves, row, left, part):
        """Word `part` of `row`, requantised: one result per lane of the drain.

        `left`: words that wait, this one among them.
        """
        spec = self.spec
        m.d.comb += self.q.ready.eq(moves)
        biases, multipliers, shifts = [], [], []
        for col in range(spec.cols):
            bias = Signal(signed(32), name=f"bias_{col}")
            multiplier = Signal(signed(16), name=f"multiplier_{col}")
            shift = Signal(6, name=f"shift_{col}")
            with m.If(self.q.valid & (self.q.column == col)):
                m.d.sync += [
                    bias.eq(self.q.bias),
                    multiplier.eq(self.q.multiplier),
                    shift.eq(self.q.shift),
                ]
            biases.append(bias)
            multipliers.append(multiplier)
            shifts.append(shift)

        results = []
        for lane in range(spec.drain_results):
            unit = Requantiser(spec.quant_latency)
            m.submodules[f"requantise_{lane}"] = unit
            columns = range(lane, spec.cols, spec.drain_results)
            live = Signal(name=f"live_{lane}")
            m.d.comb += [live.eq(left.any() & (part < len(columns))), unit.relu.eq(self.relu)]
            for number, col in enumerate(columns):
                with m.If(live & (part == number)):
                    m.d.comb += [
                        unit.total.eq(row[col]),
                        unit.bias.eq(biases[col]),
                        unit.multiplier.eq(multipliers[col]),
                        unit.shift.eq(shifts[col]),
                    ]
            results.append(unit.result)
        return results


__all__ = ["SpuTile"]
