"""The BF16 lanes of an SPU: select by index, multiply, accumulate in FP32; drain as BF16.

The clock behaviour is stated in `sparsesim.machines.s4.stepped_bf16_tile`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arith.bf16_multiplier import Bf16Multiplier
from hw.arith.float_adder import Fp32Adder
from hw.placed_instance import instance
from hw.ready_valid import StreamSignature
from hw.s4.spu_tile import SpuTile
from sparsesim.machines.s4.bf16_tile_ports import Bf16TileSpec


class Bf16Lane(wiring.Component):
    """One lane, emitted once and placed rows x cols times.

    `replaces` and `lands` come with the product at the adder and with its sum. `en` low freezes
    every register.
    """

    def __init__(self, spec: Bf16TileSpec):
        self.spec = spec
        super().__init__(
            {
                "en": In(1),
                "group": In(16 * spec.group),
                "index": In(spec.index_bits),
                "value": In(16),
                "live": In(1),
                "replaces": In(1),
                "lands": In(1),
                "total": Out(32),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        m.submodules.multiplier = multiplier = Bf16Multiplier()
        m.submodules.adder = adder = Fp32Adder(self.spec.step_clocks)
        operand = Signal(16, reset_less=True)
        weight = Signal(16, reset_less=True)
        selected, live = Signal(), Signal()
        total = Signal(32, reset_less=True)
        m.d.sync += [
            operand.eq(self.group.word_select(self.index, 16)),
            weight.eq(self.value),
            selected.eq(self.live),
            live.eq(selected),
        ]
        m.d.comb += [
            multiplier.x.eq(operand),
            multiplier.y.eq(weight),
            adder.x.eq(Mux(self.replaces, 0, total)),
            adder.y.eq(Mux(live, multiplier.product, 0)),
            self.total.eq(total),
        ]
        with m.If(self.lands):
            m.d.sync += total.eq(adder.total)
        return EnableInserter(self.en)(m)


class Bf16Tile(SpuTile):
    """rows x cols BF16 lanes, one step of (index, value) pairs every `step_clocks` clocks.

    Parameters
    ----------
    spec
        what it is made of
    instances
        True places each lane as an instance of a module that is converted once (`parts`). False
        elaborates every lane, as Amaranth's own simulator needs.
    """

    def __init__(self, spec: Bf16TileSpec, *, instances: bool = True):
        self.spec: Bf16TileSpec = spec
        self.step_clocks = spec.step_clocks
        self._instances = instances
        wiring.Component.__init__(
            self,
            {
                "a": In(StreamSignature({"values": 16 * spec.rows * spec.group})),
                "w": In(
                    StreamSignature(
                        {
                            "values": 16 * spec.cols,
                            "live": spec.cols,
                            "indices": spec.index_bits * spec.cols,
                            "group_last": 1,
                            "tile_last": 1,
                        }
                    )
                ),
                "o": Out(StreamSignature({"values": 16 * spec.drain_results, "last": 1})),
            },
        )

    @cached_property
    def parts(self) -> dict[str, Any]:
        """The modules that are placed, by the name they are converted under."""
        return {"bf16_lane": Bf16Lane(self.spec)} if self._instances else {}

    def _lanes(self, m, moves, lands, replaces):
        return [
            [self._placed(m, row, col, moves, lands, replaces) for col in range(self.spec.cols)]
            for row in range(self.spec.rows)
        ]

    def _placed(self, m, row, col, moves, lands, replaces):
        name = f"lane_{row}_{col}"
        if self._instances:
            lane = instance(m, "bf16_lane", self.parts["bf16_lane"], name)
        else:
            lane = m.submodules[name] = Bf16Lane(self.spec)
        m.d.comb += [
            lane.en.eq(moves),
            lane.group.eq(self.a.values.word_select(row, 16 * self.spec.group)),
            lane.index.eq(self.w.indices.word_select(col, self.spec.index_bits)),
            lane.value.eq(self.w.values.word_select(col, 16)),
            lane.live.eq(self.w.live[col]),
            lane.replaces.eq(replaces),
            lane.lands.eq(lands),
        ]
        return lane.total

    def _results(self, m, _moves, row, left, part):
        results = []
        for lane in range(self.spec.drain_results):
            total = Signal(32, name=f"total_{lane}")
            for number, col in enumerate(range(lane, self.spec.cols, self.spec.drain_results)):
                with m.If(left.any() & (part == number)):
                    m.d.comb += total.eq(row[col])
            # The adder gives a canonical NaN, whose upper half is the canonical one of BF16.
            up = total[15] & (total[:15].any() | total[16])
            value = Cat((total[16:31] + up)[:15], total[31])
            for clock in range(self.spec.quant_latency):
                later = Signal(16, name=f"result_{lane}_{clock}", reset_less=True)
                m.d.sync += later.eq(value)
                value = later
            results.append(value)
        return results


__all__ = ["Bf16Lane", "Bf16Tile"]
