"""A hash-scratchpad bank of PIUMA: a memory with atomics, claims and linear probing beside it.

The clock behaviour is stated in `sparsesim.machines.piuma.stepped_hash_bank`.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.arith.float_adder import REGISTERED_STEPS, Fp64Adder
from hw.ready_valid import StreamSignature
from sparsesim.machines.piuma.hash_bank_ports import (
    AADD,
    AFADD,
    CAS,
    CLAIMED,
    EMPTY,
    FILL,
    FULL,
    HASH_AADD,
    HASH_AFADD,
    LD,
    ST,
    HashBankSpec,
)


def adder_latency(spec: HashBankSpec) -> int:
    """Clocks the FP64 adder may take of an atomic: all but the one that reads the memory."""
    return min(spec.atomic_cycles - 1, max(REGISTERED_STEPS))


class HashBank(wiring.Component):
    """One single-ported memory, one adder of each kind, one request at a time.

    The memory is read in the first clock of an atomic or a probe and written in its last. Its
    output register holds the word until the next read, so it is also the response's value.
    `i.ready` depends on `o.ready` in the same clock.
    """

    def __init__(self, spec: HashBankSpec):
        self.spec = spec
        self.slot_bits = (spec.slots - 1).bit_length()
        super().__init__(
            {
                "i": In(
                    StreamSignature(
                        {
                            "op": 3,
                            "address": self.slot_bits + 1,
                            "slot": self.slot_bits,
                            "mask": self.slot_bits + 1,
                            "tag": 64,
                            "value": 64,
                        }
                    )
                ),
                "o": Out(StreamSignature({"status": 2, "slot": self.slot_bits, "value": 64})),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        spec, i, o = self.spec, self.i, self.o
        m.submodules.memory = memory = Memory(shape=64, depth=spec.words, init=[])
        reader = memory.read_port()
        writer = memory.write_port()

        # The request: from the input in its first clock, then from registers.
        busy = Signal()
        starts = Signal()
        works = Signal()
        valid = Signal()
        m.d.comb += [
            i.ready.eq(~busy & (~valid | o.ready)),
            starts.eq(i.valid & i.ready),
            works.eq(busy | starts),
        ]
        now = {}
        for name in ("op", "address", "mask", "tag", "value"):
            port = getattr(i, name)
            held = Signal(len(port), name=f"held_{name}", reset_less=True)
            now[name] = Signal(len(port), name=f"now_{name}")
            m.d.comb += now[name].eq(Mux(busy, held, port))
            with m.If(starts):
                m.d.sync += held.eq(port)
        op, address, mask = now["op"], now["address"], now["mask"]

        # Where the request stands; registers that count only while busy.
        held_slot = Signal(self.slot_bits, reset_less=True)
        held_count = Signal(len(mask), reset_less=True)
        held_step = Signal(range(spec.atomic_cycles), reset_less=True)
        held_adding = Signal(reset_less=True)
        held_claimed = Signal(reset_less=True)
        slot = Signal(self.slot_bits)
        count = Signal(len(mask))
        step = Signal(range(spec.atomic_cycles))
        adding = Signal()
        claimed = Signal()
        m.d.comb += [
            slot.eq(Mux(busy, held_slot, i.slot & i.mask)),
            count.eq(Mux(busy, held_count, 0)),
            step.eq(Mux(busy, held_step, 0)),
            adding.eq(busy & held_adding),
            claimed.eq(busy & held_claimed),
        ]

        hashes = Signal()
        atomic = Signal()
        place = Signal(self.slot_bits)
        where = Signal(len(address))
        m.d.comb += [
            hashes.eq((op == HASH_AADD) | (op == HASH_AFADD)),
            atomic.eq(hashes | (op == CAS) | (op == AADD) | (op == AFADD)),
            place.eq(address + slot),
            where.eq(Mux(hashes, Cat(place, adding), address)),
            reader.addr.eq(where),
            reader.en.eq(works & ((op == LD) | (atomic & (step == 0)))),
            writer.addr.eq(Mux(op == FILL, address + count, where)),
        ]

        m.submodules.adder = adder = Fp64Adder(adder_latency(spec))
        m.d.comb += [adder.x.eq(reader.data), adder.y.eq(now["value"])]

        done = Signal()
        full = Signal()
        shows = Signal()
        same = Signal()
        free = Signal()
        m.d.comb += [
            same.eq(reader.data == now["tag"]),
            free.eq(reader.data == EMPTY),
        ]
        with m.If(works):
            m.d.sync += [
                busy.eq(~done),
                held_slot.eq(slot),
                held_count.eq(count),
                held_step.eq(step),
                held_adding.eq(adding),
                held_claimed.eq(claimed),
            ]
            with m.If(op == FILL):
                m.d.comb += [
                    writer.en.eq(1),
                    writer.data.eq(now["value"]),
                    done.eq(count == mask),
                ]
                m.d.sync += held_count.eq(count + 1)
            with m.Elif(op == ST):
                m.d.comb += [writer.en.eq(1), writer.data.eq(now["value"]), done.eq(1)]
            with m.Elif(op == LD):
                m.d.comb += [shows.eq(1), done.eq(1)]
            with m.Elif(step != spec.atomic_cycles - 1):
                m.d.sync += held_step.eq(step + 1)
            with m.Elif(hashes & ~adding):
                m.d.sync += held_step.eq(0)
                with m.If(same):
                    m.d.sync += held_adding.eq(1)
                with m.Elif(free):
                    m.d.comb += [writer.en.eq(1), writer.data.eq(now["tag"])]
                    m.d.sync += [held_adding.eq(1), held_claimed.eq(1)]
                with m.Elif(count == mask):
                    m.d.comb += [full.eq(1), done.eq(1)]
                with m.Else():
                    m.d.sync += [
                        held_slot.eq((slot + 1) & mask),
                        held_count.eq(count + 1),
                    ]
            with m.Else():
                m.d.comb += [done.eq(1), shows.eq(1), writer.en.eq(1)]
                with m.If(op == CAS):
                    m.d.comb += [writer.en.eq(same), writer.data.eq(now["value"])]
                with m.Elif((op == AADD) | (op == HASH_AADD)):
                    m.d.comb += writer.data.eq(reader.data + now["value"])
                with m.Else():
                    m.d.comb += writer.data.eq(adder.total)

        # The response.
        shown = Signal(reset_less=True)
        status = Signal(2, reset_less=True)
        out_slot = Signal(self.slot_bits, reset_less=True)
        with m.If(done):
            m.d.sync += [
                valid.eq(1),
                shown.eq(shows),
                status.eq(Mux(full, FULL, Mux(claimed, CLAIMED, 0))),
                out_slot.eq(Mux(adding, slot, 0)),
            ]
        with m.Elif(o.ready):
            m.d.sync += valid.eq(0)
        m.d.comb += [
            o.valid.eq(valid),
            o.status.eq(Mux(valid, status, 0)),
            o.slot.eq(Mux(valid, out_slot, 0)),
            o.value.eq(Mux(valid & shown, reader.data, 0)),
        ]
        return m


__all__ = ["HashBank", "adder_latency"]
