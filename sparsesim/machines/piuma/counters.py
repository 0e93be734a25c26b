"""What a finished run counted, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma import isa, state
from sparsesim.machines.piuma.launch import Launch
from sparsesim.machines.piuma.spec import WORD_BYTES
from sparsesim.results.record import STALL_CAUSES

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PipelineCycles:
    """Clocks of one pipeline, or of the chip; `busy` + sum of `stalls` = cycles."""

    name: str
    busy: int
    stalls: dict[str, int]


def total_cycles(launch: Launch) -> int:
    """Clocks from the start to the last instruction, counted from 1."""
    return int(launch.arrays["cnt"][state.N_CYCLES])


def chip_cycles(launch: Launch) -> PipelineCycles:
    """Clocks in which some pipeline issued, and why none did in the others."""
    counted = launch.arrays["cnt"]
    stalls = {
        cause: int(counted[state.N_CHIP_STALLS + number])
        for number, cause in enumerate(STALL_CAUSES)
    }
    return PipelineCycles("chip", int(counted[state.N_CHIP_BUSY]), stalls)


def pipeline_cycles(launch: Launch) -> list[PipelineCycles]:
    """Every pipeline of every core; after its last instruction a pipeline waits for the others."""
    spec = launch.spec
    cycles = total_cycles(launch)
    pipes = launch.arrays["pipe"].reshape(2 * spec.cores, -1, state.PIPE)
    found = []
    for core in range(spec.cores):
        for kind, group, count in (
            ("mtc", core, spec.pipelines),
            ("stc", core + spec.cores, spec.single_pipelines),
        ):
            for number in range(count):
                row = pipes[group, number]
                stalls = {
                    cause: int(row[state.L_STALLS + place])
                    for place, cause in enumerate(STALL_CAUSES)
                }
                last = int(row[state.L_LAST])
                busy = last - sum(stalls.values())
                stalls["imbalance" if last else "idle"] += cycles - last
                found.append(PipelineCycles(f"core{core}.{kind}{number}", busy, stalls))
    return found


def dram_bytes(launch: Launch) -> dict[str, int]:
    """Bytes by `<level>_<stream>`: DRAM by the operand they belong to, scratchpad in all."""
    counted = launch.arrays["cnt"]
    moved: dict[str, int] = {}
    for number, part in enumerate(launch.image.regions):
        for place, way in enumerate(("read", "write")):
            key = f"dram_{part.stream}_{way}"
            words = int(counted[state.N_REGION + 2 * number + place])
            if words:
                moved[key] = moved.get(key, 0) + words * WORD_BYTES
    moved["scratchpad_access"] = int(counted[state.N_SPAD_WORDS]) * WORD_BYTES
    return moved


def thread_utilisation(launch: Launch) -> npt.NDArray[np.float64]:
    """(threads,) share of the run in which a thread had work: not at a barrier, not at its end.

    Multi-threaded pipelines only, in order of core and thread.
    """
    spec = launch.spec
    cycles = total_cycles(launch)
    thr = launch.arrays["thr"].reshape(2 * spec.cores, state.GROUP, state.THREAD)
    mine = thr[: spec.cores, : spec.threads_per_core].reshape(-1, state.THREAD)
    waited = mine[:, state.T_BARRIER_CYCLES] + cycles - mine[:, state.T_END]
    share: npt.NDArray[np.float64] = 1.0 - waited / cycles
    return share


def phase_cycles(launch: Launch) -> list[tuple[str, int, int]]:
    """(phase, first clock, clocks) as marked by core 0."""
    marks = launch.arrays["marks"]
    pairs = marks[1 : 1 + 2 * int(marks[0])].reshape(-1, 2)
    names = launch.kernel.phases
    ends = [*pairs[1:, 1].tolist(), total_cycles(launch)]
    return [
        (names.get(int(number), str(number)), int(begin), int(end - begin))
        for (number, begin), end in zip(pairs, ends, strict=True)
        if end > begin
    ]


def series(launch: Launch) -> dict[str, Any]:
    """Rates over time: IPC, DRAM utilisation, scratchpad words and cache misses per clock."""
    samples = launch.arrays["samples"]
    count = int(samples[state.SAMPLES * state.SAMPLE])
    table = samples[: count * state.SAMPLE].reshape(-1, state.SAMPLE)
    before = np.vstack([np.zeros((1, state.SAMPLE), np.int64), table[:-1]]) if count else table
    difference = table - before
    clocks = np.maximum(difference[:, state.A_CYCLE], 1)
    peak = launch.spec.dram_bytes_per_cycle

    def rate(column: int, scale: float = 1.0) -> list[float]:
        return [round(float(x), 5) for x in difference[:, column] * scale / clocks]

    return {
        "cycle": table[:, state.A_CYCLE].tolist(),
        "ipc": rate(state.A_ISSUED),
        "dram_utilisation": rate(state.A_DRAM_WORDS, WORD_BYTES / peak),
        "scratchpad_words_per_cycle": rate(state.A_SPAD_WORDS),
        "cache_misses_per_cycle": rate(state.A_MISSES),
    }


def details(launch: Launch) -> dict[str, Any]:
    """Counters of a run that go beyond the common result record."""
    spec, counted = launch.spec, launch.arrays["cnt"]
    cycles = total_cycles(launch)
    dram = launch.arrays["dram"][-state.DRAM_COUNTS * spec.cores - 1 : -1].reshape(spec.cores, -1)
    hits, misses = int(counted[state.N_HITS]), int(counted[state.N_MISSES])
    issued = int(counted[state.N_ISSUED])
    words = int(dram[:, state.DC_WORDS].sum())
    rows = int(dram[:, state.DC_HIT].sum()), int(dram[:, state.DC_MISS].sum())
    utilisation = thread_utilisation(launch)
    shared = {
        isa.NAMES[op]: int(counted[state.N_OPS + op])
        for op in range(isa.FIRST_SHARED, isa.OPCODES)
        if counted[state.N_OPS + op]
    }
    return {
        "kernel": spec.kernel,
        "cycles": cycles,
        "instructions": issued,
        "instructions_by_kind": {"private": issued - sum(shared.values()), **shared},
        "ipc": issued / cycles,
        "ipc_per_core": issued / cycles / spec.cores,
        "cache_hits": hits,
        "cache_misses": misses,
        "cache_hit_rate": hits / max(1, hits + misses),
        "cache_hits_on_the_way": int(counted[state.N_MERGED]),
        "dram_words": words,
        "dram_utilisation": words * WORD_BYTES / (cycles * spec.dram_bytes_per_cycle),
        "dram_row_hit_rate": rows[0] / max(1, sum(rows)),
        "dram_words_by_core": dram[:, state.DC_WORDS].tolist(),
        "scratchpad_words": int(counted[state.N_SPAD_WORDS]),
        "bank_wait_cycles": int(counted[state.N_BANK_WAIT]),
        "queue_wait_cycles": int(counted[state.N_QUEUE_WAIT]),
        "messages": int(counted[state.N_MESSAGES]),
        "port_wait_cycles": int(counted[state.N_PORT_WAIT]),
        "remote_atomics": int(counted[state.N_REMOTE_ATOMICS]),
        "dma_words": int(counted[state.N_DMA_WORDS]),
        "barriers": int(counted[state.N_BARRIERS]),
        "multiplies": int(counted[state.N_MULTIPLIES]),
        "thread_utilisation": [round(float(share), 5) for share in utilisation],
        "mean_thread_utilisation": float(utilisation.mean()),
        "phases": _phase_totals(launch),
    }


def _phase_totals(launch: Launch) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, _, clocks in phase_cycles(launch):
        totals[name] = totals.get(name, 0) + clocks
    return totals
