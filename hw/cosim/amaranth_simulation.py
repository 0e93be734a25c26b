"""A unit in Amaranth's own simulator: needs no compiler, some thousand clocks per second."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np

from hw.component_ports import RESET, port_values
from hw.cosim.trace_words import Words, inputs_and_outputs

_CLOCK_PERIOD = 1e-6


class AmaranthSimulation:
    """Simulates a `wiring.Component` in the clock domain `sync`.

    The inputs are the component's and ``rst``. A response is sampled before the clock edge that
    ends its clock.
    """

    def __init__(self, component: Any):
        from amaranth.hdl import ClockDomain, Module, Signal
        from amaranth.sim import Simulator

        self.name = f"amaranth {metadata.version('amaranth')}"
        values = port_values(component)
        domain = ClockDomain("sync")
        signals = {**values, RESET: domain.rst}
        self.inputs, self.outputs = inputs_and_outputs(list(signals))

        # One wide signal each way: the simulator settles once per assignment.
        stimulus = Signal(32 * self.inputs.words)
        response = Signal(32 * self.outputs.words)
        top = Module()
        top.domains += domain
        top.submodules.unit = component
        for port, offset, _ in self.inputs.fields:
            top.d.comb += signals[port].eq(stimulus[32 * offset :][: port.width])
        for port, offset, _ in self.outputs.fields:
            top.d.comb += response[32 * offset :][: port.width].eq(signals[port])

        self._rows: list[int] = []
        self._seen: list[int] = []

        async def testbench(ctx: Any) -> None:
            for row in self._rows:
                ctx.set(stimulus, row)
                *_, value = await ctx.tick().sample(response)
                self._seen.append(value)

        self._simulator = Simulator(top)
        self._simulator.add_clock(_CLOCK_PERIOD)
        self._testbench = testbench
        self._started = False

    def run(self, rows: Words) -> Words:
        """Simulate from the initial state: inputs (T, words) to outputs (T, words)."""
        self._rows = [int.from_bytes(row.astype("<u4").tobytes(), "little") for row in rows]
        self._seen = []
        if self._started:
            self._simulator.reset()
        else:
            self._simulator.add_testbench(self._testbench)
            self._started = True
        self._simulator.run()
        size = 4 * self.outputs.words
        raw = b"".join(value.to_bytes(size, "little") for value in self._seen)
        return np.frombuffer(raw, dtype="<u4").reshape(len(rows), self.outputs.words)
