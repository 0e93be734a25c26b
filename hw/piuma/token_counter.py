"""The token counter of a PIUMA core.

The clock behaviour is stated in `sparsesim.machines.piuma.stepped_token_counter`.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.ready_valid import StreamSignature
from sparsesim.machines.piuma.stepped_token_counter import TokenCounterSpec


class TokenCounter(wiring.Component):
    """Ranges of numbers in registers; one request at a time.

    `i.ready` depends on `o.ready` in the same clock.
    """

    def __init__(self, spec: TokenCounterSpec):
        self.spec = spec
        super().__init__(
            {
                "i": In(
                    StreamSignature(
                        {
                            "set": 1,
                            "queue": (spec.queues - 1).bit_length(),
                            "first": signed(64),
                            "last": signed(64),
                        }
                    )
                ),
                "o": Out(StreamSignature({"token": signed(64)})),
            }
        )

    def elaborate(self, _platform):
        m = Module()
        i, o = self.i, self.o
        left = Signal(range(self.spec.queue_cycles + 1))
        valid = Signal()
        token = Signal(signed(64), reset_less=True)
        starts = Signal()
        m.d.comb += [
            i.ready.eq((left == 0) & (~valid | o.ready)),
            starts.eq(i.valid & i.ready),
            o.valid.eq(valid),
            o.token.eq(Mux(valid, token, 0)),
        ]
        with m.If(o.ready):
            m.d.sync += valid.eq(0)
        with m.If(starts):
            m.d.sync += [left.eq(self.spec.queue_cycles - 1), token.eq(Mux(i.set, 0, -1))]
            if self.spec.queue_cycles == 1:
                m.d.sync += valid.eq(1)
        with m.Elif(left.any()):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.d.sync += valid.eq(1)
        for queue in range(self.spec.queues):
            following = Signal(signed(64), name=f"next_{queue}")
            end = Signal(signed(64), name=f"end_{queue}")
            with m.If(starts & (i.queue == queue)):
                with m.If(i.set):
                    m.d.sync += [following.eq(i.first), end.eq(i.last)]
                with m.Elif(following < end):
                    m.d.sync += [token.eq(following), following.eq(following + 1)]
        return m


__all__ = ["TokenCounter"]
