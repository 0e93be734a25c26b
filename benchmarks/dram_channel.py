"""A DDR4-2400 channel under saturated streams: requests per second, and against a plain loop."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import best_seconds
from sparsesim.memory.dram_spec import ddr4_2400
from sparsesim.memory.dram_stream import run_stream
from sparsesim.memory.dram_tick import tick_stream

REQUESTS = 1_000_000
TICKED = 20_000


def run() -> dict[str, float]:
    """Million requests per second, and how much faster than the loop over clocks."""
    spec = ddr4_2400()
    streams = {
        "sequential": np.arange(REQUESTS),
        "random": np.random.default_rng(1).integers(spec.lines, size=REQUESTS),
    }
    found = {}
    for name, lines in streams.items():
        seconds = best_seconds(lambda lines=lines: run_stream(spec, lines))  # type: ignore[misc]
        found[f"DRAM channel, {name} reads, M requests/s"] = REQUESTS / seconds / 1e6
        some = lines[:TICKED]
        ticks = best_seconds(lambda some=some: tick_stream(spec, some), 1)  # type: ignore[misc]
        few = best_seconds(lambda some=some: run_stream(spec, some))  # type: ignore[misc]
        found[f"DRAM channel, {name} reads, times a loop over clocks"] = ticks / few
    return found
