"""The DMA engine of a PIUMA core as a write-back unit: scratchpad to memory, scatter and gather.

The clock behaviour is stated in `sparsesim.machines.piuma.stepped_dma_engine`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.ready_valid import StreamSignature
from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma.dma_engine_ports import ADDRESS_BITS, TAG_BITS, DmaEngineSpec

#: Fields of a descriptor, in the order they lie in the queue.
_DESCRIPTOR = {
    "mode": 3,
    "source": 64,
    "goal": ADDRESS_BITS,
    "count": ADDRESS_BITS,
    "arg": ADDRESS_BITS,
    "tag": TAG_BITS,
}


def _bits(values: int) -> int:
    """Bits that tell `values` values apart; at least one."""
    return max(1, (values - 1).bit_length())


def _is(mode: Value, *modes: int) -> Value:
    return Cat(mode == one for one in modes).any()


class DmaEngine(wiring.Component):
    """A queue of descriptors, one at work, and three steps that a beat goes through.

    `d.ready` depends on `o.ready` in the same clock. The pipeline is rigid: it moves where the
    output is empty or taken.
    """

    def __init__(self, spec: DmaEngineSpec):
        self.spec = spec
        lanes = spec.beat_words
        self.lane_bits = lanes.bit_length()
        addresses = data.ArrayLayout(ADDRESS_BITS, lanes)
        words = data.ArrayLayout(64, lanes)
        slot = _bits(spec.outstanding)
        super().__init__(
            {
                "d": In(StreamSignature(_DESCRIPTOR)),
                "x_read": Out(1),
                "x_address": Out(addresses),
                "x_data": In(words),
                "r_read": Out(1),
                "r_address": Out(addresses),
                "r_data": In(words),
                "o": Out(
                    StreamSignature(
                        {
                            "lanes": self.lane_bits,
                            "address": addresses,
                            "data": words,
                            "slot": slot,
                            "last": 1,
                            "tag": TAG_BITS,
                        }
                    )
                ),
                "done": In(spec.outstanding),
                "idle": Out(1),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        spec = self.spec
        moves, leaves, ends = Signal(), Signal(), Signal()
        work = {name: Signal(width, name=f"work_{name}") for name, width in _DESCRIPTOR.items()}
        count = Signal(range(spec.queue + 1))
        wait = Signal(range(max(spec.start_cycles, spec.beat_cycles)))
        restart = Signal()
        slot = Signal(_bits(spec.outstanding))
        in_flight = Signal(spec.outstanding)
        free = Signal()
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            free.eq(~in_flight.bit_select(slot, 1)),
            leaves.eq(moves & count.any() & (wait == 0) & ~restart & free),
            ends.eq(leaves & (work["count"] <= spec.beat_words)),
            self.idle.eq(~count.any() & ~in_flight.any()),
        ]

        # When the next beat may leave.
        with m.If(wait.any()):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(restart & free):
            m.d.sync += [restart.eq(0), wait.eq(spec.start_cycles - 1)]
        starts = Signal(spec.outstanding)
        m.d.comb += starts.bit_select(slot, 1).eq(leaves)
        m.d.sync += in_flight.eq((in_flight & ~self.done) | starts)
        with m.If(leaves):
            m.d.sync += [
                wait.eq(spec.beat_cycles - 1),
                slot.eq(Mux(slot == spec.outstanding - 1, 0, slot + 1)),
            ]

        # Beats move the descriptor at work on; a new one comes with and after `_queue`.
        lanes = Signal(self.lane_bits)
        mode, arg = work["mode"], work["arg"]
        m.d.comb += lanes.eq(Mux(ends, work["count"], spec.beat_words))
        shift = Const(0, spec.beat_words.bit_length() - 1)
        step = Signal(ADDRESS_BITS)
        m.d.comb += step.eq(Cat(shift, arg))
        indexed = _is(mode, isa.DMA_GATHER, isa.DMA_SCATTER, isa.DMA_SCATTER_FILL)
        with m.If(leaves):
            m.d.sync += work["count"].eq(work["count"] - spec.beat_words)
            with m.If(indexed):
                m.d.sync += arg.eq(arg + spec.beat_words)
            # The source of a fill is its value.
            with m.If(~_is(mode, isa.DMA_FILL, isa.DMA_GATHER, isa.DMA_SCATTER_FILL)):
                low = work["source"][:ADDRESS_BITS]
                by = Mux(mode == isa.DMA_STRIDE_IN, step, spec.beat_words)
                m.d.sync += low.eq(low + by)
            with m.If(~_is(mode, isa.DMA_SCATTER, isa.DMA_SCATTER_FILL)):
                by = Mux(mode == isa.DMA_STRIDE_OUT, step, spec.beat_words)
                m.d.sync += work["goal"].eq(work["goal"] + by)
        self._queue(m, work, count, ends, wait, restart)

        m.d.comb += self.x_read.eq(leaves & indexed)
        for lane in range(spec.beat_words):
            with m.If(self.x_read & (lane < lanes)):
                m.d.comb += self.x_address[lane].eq(arg + lane)
        steps = Module()
        self._steps(steps, leaves, work, lanes, ends, slot, moves)
        m.submodules.steps = EnableInserter(moves)(steps)
        return m

    def _queue(self, m, work, count, ends, wait, restart):
        """Descriptors that wait, in a memory; `head` is where the one at work is or was."""
        spec, d = self.spec, self.d
        m.submodules.queue = queue = Memory(
            shape=sum(_DESCRIPTOR.values()), depth=spec.queue, init=[]
        )
        writer, reader = queue.write_port(), queue.read_port()
        head = Signal(range(spec.queue))
        tail = Signal(range(spec.queue))
        after = Signal(range(spec.queue))
        comes, only, fetched = Signal(), Signal(), Signal()
        descriptor = Cat(getattr(d, name) for name in _DESCRIPTOR)
        m.d.comb += [
            d.ready.eq((count != spec.queue) | ends),
            comes.eq(d.valid & d.ready & d.count.any()),
            only.eq(count == ends),
            after.eq(Mux(head == spec.queue - 1, 0, head + 1)),
            writer.en.eq(comes),
            writer.addr.eq(tail),
            writer.data.eq(descriptor),
            reader.en.eq(ends),
            reader.addr.eq(after),
        ]
        m.d.sync += [fetched.eq(ends & ~only), count.eq(count - ends + comes)]
        with m.If(ends):
            m.d.sync += [head.eq(after), restart.eq(~only)]
        # At least two clocks lie between the last beat of a descriptor and the first of the next.
        with m.If(fetched):
            m.d.sync += Cat(work.values()).eq(reader.data)
        with m.If(comes):
            m.d.sync += tail.eq(Mux(tail == spec.queue - 1, 0, tail + 1))
            with m.If(only):
                m.d.sync += [
                    Cat(work.values()).eq(descriptor),
                    wait.eq(spec.start_cycles - 1),
                    restart.eq(0),
                ]

    def _steps(self, m, leaves, work, lanes, ends, slot, moves):
        """Positions come; words are read and come; the beat stands on the output."""
        spec, o = self.spec, self.o
        width = {"lanes": self.lane_bits, "slot": len(slot), "last": 1, "tag": TAG_BITS}

        def named(step):
            return {name: Signal(bits, name=f"{step}_{name}") for name, bits in width.items()}

        a_valid, b_valid, o_valid = Signal(), Signal(), Signal()
        a, b, out = named("a"), named("b"), named("out")
        mode = Signal(3)
        source = Signal(64)
        goal, arg = Signal(ADDRESS_BITS), Signal(ADDRESS_BITS)
        now = {"lanes": lanes, "slot": slot, "last": ends, "tag": work["tag"]}
        m.d.sync += [a_valid.eq(leaves), b_valid.eq(a_valid), o_valid.eq(b_valid)]
        m.d.sync += [a[name].eq(now[name]) for name in width]
        m.d.sync += [b[name].eq(a[name]) for name in width]
        m.d.sync += [out[name].eq(b[name]) for name in width]
        m.d.sync += [
            mode.eq(work["mode"]),
            source.eq(work["source"]),
            goal.eq(work["goal"]),
            arg.eq(work["arg"]),
        ]

        fills, b_fills, b_value = Signal(), Signal(), Signal(64)
        gathers, scatters = Signal(), Signal()
        m.d.comb += [
            fills.eq(_is(mode, isa.DMA_FILL, isa.DMA_SCATTER_FILL)),
            gathers.eq(mode == isa.DMA_GATHER),
            scatters.eq(_is(mode, isa.DMA_SCATTER, isa.DMA_SCATTER_FILL)),
            self.r_read.eq(moves & a_valid & ~fills),
            o.valid.eq(o_valid),
        ]
        m.d.sync += [b_fills.eq(fills), b_value.eq(source)]
        m.d.comb += [getattr(o, name).eq(Mux(o_valid, out[name], 0)) for name in width]
        for lane in range(spec.beat_words):
            position = self.x_data[lane][:ADDRESS_BITS]
            stride = Signal(ADDRESS_BITS, name=f"stride_{lane}")
            a_to = Signal(ADDRESS_BITS, name=f"a_to_{lane}")
            b_to = Signal(ADDRESS_BITS, name=f"b_to_{lane}")
            to = Signal(ADDRESS_BITS, name=f"to_{lane}")
            word = Signal(64, name=f"word_{lane}")
            by_source = Mux(gathers, position, Mux(mode == isa.DMA_STRIDE_IN, stride, lane))
            by_goal = Mux(scatters, position, Mux(mode == isa.DMA_STRIDE_OUT, stride, lane))
            m.d.comb += [stride.eq(arg * lane), a_to.eq(goal + by_goal)]
            m.d.sync += [
                b_to.eq(a_to),
                to.eq(b_to),
                word.eq(Mux(b_fills, b_value, self.r_data[lane])),
            ]
            with m.If(self.r_read & (lane < a["lanes"])):
                m.d.comb += self.r_address[lane].eq(source[:ADDRESS_BITS] + by_source)
            with m.If(o_valid & (lane < out["lanes"])):
                m.d.comb += [o.address[lane].eq(to), o.data[lane].eq(word)]


__all__ = ["DmaEngine"]
