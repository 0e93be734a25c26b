"""The DMA engine as a unit: its stimuli, its manifest, and its models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.cosim.trace_words import Trace
from hw.piuma.dma_engine import DmaEngine
from hw.piuma.dma_engine_reference import run_reference
from sparsesim.machines.piuma.dma_engine_ports import (
    ADDRESS_BITS,
    DmaEngineSpec,
    DmaEngineStimulus,
    dma_engine_spec,
    quiet,
)
from sparsesim.machines.piuma.isa import DMA_MODES
from sparsesim.machines.piuma.spec import PiumaSpec


def stimulus(spec: DmaEngineSpec, seed: int, case: int) -> DmaEngineStimulus:
    """Stimulus number `case` of a seed.

    Short and empty descriptors of every mode, addresses at the ends of memory, full queues, late
    and early arrivals of beats, back-pressure. The memories hold anything.
    """
    rng = np.random.default_rng((seed, case))
    clocks = int(rng.integers(100, 200)) + 3 * (spec.start_cycles + spec.beat_cycles)
    made = quiet(spec, clocks)

    def often(always: bool) -> npt.NDArray[np.bool_]:
        return np.ones(clocks, np.bool_) if always else rng.random(clocks) < rng.uniform(0.2, 0.8)

    made.d_valid[:] = often(case % 3 == 0)
    made.o_ready[:] = often(case % 2 == 0)
    # Beats arrive in time, late, or so late that all are in flight.
    arrives = rng.random((clocks, spec.outstanding)) < (0.6, 0.2, 0.05)[case % 3]
    made.done[:] = arrives
    made.d_mode[:] = rng.integers(8, size=clocks)
    made.d_count[:] = rng.integers(2 + int(rng.choice([0, 1, 4])) * spec.beat_words, size=clocks)
    made.d_tag[:] = rng.integers(256, size=clocks)
    made.d_source[:, 0] = rng.integers(2**64, size=clocks, dtype=np.uint64)
    for column in (made.d_goal, made.d_arg):
        column[:] = rng.integers(1 << ADDRESS_BITS, size=clocks)
        near = rng.random(clocks) < 0.5
        column[near] = rng.integers(-20, 20, size=int(near.sum())) % (1 << ADDRESS_BITS)
    for words in (made.x_data, made.r_data):
        words[:] = rng.integers(2**64, size=words.shape, dtype=np.uint64)
    return made


class DmaEngineUnit:
    """The DMA engine of a PIUMA core, as it writes arrays of the scratchpad back."""

    bench_cases = 6

    def __init__(self, machine: PiumaSpec):
        self.spec = dma_engine_spec(machine)

    def component(self) -> DmaEngine:
        return DmaEngine(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        from sparsesim.machines.piuma.stepped_dma_engine import run_dma_engine  # compiles (Numba)

        return {
            "stepped": lambda inputs: run_dma_engine(
                self.spec, DmaEngineStimulus(**inputs)
            )._asdict(),
            "reference": lambda inputs: run_reference(
                self.spec, DmaEngineStimulus(**inputs)
            )._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        lanes = self.spec.beat_words
        modes = ", ".join(f"{code} {name}" for name, code in DMA_MODES.items())
        return {
            "d_valid": "a descriptor stands on the input",
            "d_ready": "the descriptor is taken; depends on o_ready in the same clock",
            "d_mode": f"{modes}",
            "d_source": "first word read, or the value that is written",
            "d_goal": "first word written, or what positions are relative to",
            "d_count": "words; 0: the descriptor is dropped",
            "d_arg": "stride in words, or first word of the positions",
            "d_tag": "the requester's own; comes back with the beats",
            "x_read": "positions are read from the scratchpad; their memory holds them until then",
            "x_address": f"{lanes} words, lane 0 in the low bits",
            "x_data": f"{lanes} positions, one clock after their addresses",
            "r_read": "words are read from the scratchpad; their memory holds them until then",
            "r_address": f"{lanes} words, lane 0 in the low bits",
            "r_data": f"{lanes} words, one clock after their addresses",
            "o_valid": "a beat stands on the output",
            "o_ready": "the beat is taken",
            "o_lanes": f"words of the beat, 1 to {lanes}, from lane 0 on",
            "o_address": f"{lanes} words to write, lane 0 in the low bits; 0 where none",
            "o_data": f"{lanes} values, lane 0 in the low bits; 0 where none",
            "o_slot": "name of the beat until it is done",
            "o_last": "last beat of its descriptor",
            "o_tag": "of the descriptor",
            "done": "beats that have arrived, one bit per slot: free from the next clock on",
            "idle": "no descriptor is left and no beat is in flight",
        }

    def description(self) -> dict[str, Any]:
        return {
            "summary": "DMA engine of a PIUMA core, scratchpad to memory (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "latencies_clocks": {
                "descriptor to first beat": self.spec.start_cycles,
                "beat to beat": self.spec.beat_cycles,
                "beat to output": 3,
            },
            "number_formats": {"addresses": f"words, {ADDRESS_BITS} bits, wrap"},
            "models": {
                "stepped_core": "sparsesim.machines.piuma.stepped_dma_engine:run_dma_engine",
                "golden_model": "hw.piuma.dma_engine_reference:run_reference",
            },
        }


UNIT = DmaEngineUnit
