"""The N:M sorter lane of SAT (SORE): top-N sorter and compactor.

The clock behaviour is stated in `sparsesim.machines.sat.stepped_sorter`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.ready_valid import StreamSignature
from sparsesim.machines.sat.sorter_ports import SorterSpec


class Sore(wiring.Component):
    """Keeps the `keep` largest magnitudes of each group and emits them in ascending position.

    The sorter compares the value that enters with all held values at once and shifts it in; the
    compactor marks the kept positions in a bitmap and takes its lowest bit clock after clock.
    `i.ready` depends on `i.last` and `o.ready` in the same clock. `keep` above `n_max` is `n_max`.
    """

    def __init__(self, spec: SorterSpec):
        self.spec = spec
        index_bits = (spec.m_max - 1).bit_length()
        super().__init__(
            {
                "i": In(StreamSignature({"value": 16, "last": 1})),
                "keep": In(spec.n_max.bit_length()),
                "o": Out(StreamSignature({"value": 16, "index": index_bits, "last": 1})),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        entries = range(self.spec.n_max)
        position = Signal(len(self.o.index))
        takes = Signal()
        ends = Signal()
        may_end = Signal()
        m.d.comb += [
            ends.eq(self.i.last | position.all()),
            self.i.ready.eq(~ends | may_end),
            takes.eq(self.i.valid & self.i.ready),
        ]

        # The sorter: `above[k]` says that the new value ranks before entry k; a later value of
        # the same magnitude does not.
        values = [Signal(16, name=f"held_value_{k}", reset_less=True) for k in entries]
        indices = [Signal(len(position), name=f"held_index_{k}", reset_less=True) for k in entries]
        filled = [Signal(name=f"held_{k}") for k in entries]
        above = [Signal(name=f"above_{k}") for k in entries]
        next_values = [Signal(16, name=f"next_value_{k}") for k in entries]
        next_indices = [Signal(len(position), name=f"next_index_{k}") for k in entries]
        next_filled = [Signal(name=f"next_{k}") for k in entries]
        for k in entries:
            m.d.comb += [
                above[k].eq(~filled[k] | (self.i.value[:15] > values[k][:15])),
                next_values[k].eq(Mux(above[k], self.i.value, values[k])),
                next_indices[k].eq(Mux(above[k], position, indices[k])),
                next_filled[k].eq(1),
            ]
            if k:
                with m.If(above[k - 1]):
                    m.d.comb += [
                        next_values[k].eq(values[k - 1]),
                        next_indices[k].eq(indices[k - 1]),
                    ]
                m.d.comb += next_filled[k].eq(filled[k - 1])
            with m.If(takes):
                m.d.sync += [
                    values[k].eq(next_values[k]),
                    indices[k].eq(next_indices[k]),
                    filled[k].eq(next_filled[k] & ~ends),
                ]
        with m.If(takes):
            m.d.sync += position.eq(Mux(ends, 0, position + 1))

        # The compactor: values stand by position of their entry, the bitmap says which wait.
        kept = [Signal(name=f"kept_{k}") for k in entries]
        waiting = Signal(self.spec.m_max)
        later = Signal(self.spec.m_max)
        lowest = Signal(self.spec.m_max)
        out_values = [Signal(16, name=f"out_value_{k}", reset_less=True) for k in entries]
        out_indices = [
            Signal(len(position), name=f"out_index_{k}", reset_less=True) for k in entries
        ]
        out_filled = [Signal(name=f"out_{k}") for k in entries]
        m.d.comb += [
            later.eq(waiting & (waiting - 1)),
            lowest.eq(waiting & ~(waiting - 1)),
            may_end.eq(~later.any() & (self.o.ready | ~waiting.any())),
        ]
        marks = Signal(self.spec.m_max)
        one = Const(1, self.spec.m_max)
        marked = 0
        for k in entries:
            m.d.comb += kept[k].eq(next_filled[k] & (self.keep > k))
            marked = marked | Mux(kept[k], (one << next_indices[k])[: self.spec.m_max], 0)
        m.d.comb += marks.eq(marked)
        with m.If(takes & ends):
            m.d.sync += waiting.eq(marks)
            for k in entries:
                m.d.sync += [
                    out_values[k].eq(next_values[k]),
                    out_indices[k].eq(next_indices[k]),
                    out_filled[k].eq(kept[k]),
                ]
        with m.Elif(self.o.ready):
            m.d.sync += waiting.eq(later)

        index = Signal(len(position))
        value = 0
        for bit in range(len(position)):
            m.d.comb += index[bit].eq(
                Cat(lowest[p] for p in range(self.spec.m_max) if p >> bit & 1).any()
            )
        for k in entries:
            chosen = self.o.valid & out_filled[k] & (out_indices[k] == index)
            value = value | Mux(chosen, out_values[k], 0)
        m.d.comb += [
            self.o.valid.eq(waiting.any()),
            self.o.value.eq(value),
            self.o.index.eq(index),
            self.o.last.eq(waiting.any() & ~later.any()),
        ]
        return m


__all__ = ["Sore"]
