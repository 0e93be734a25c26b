"""Run a kernel: prepare the flat state, call a core, and report what it counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsesim.errors import CheckError
from sparsesim.machines.piuma import isa, state
from sparsesim.machines.piuma.assembler import Program, assemble
from sparsesim.machines.piuma.data_cache import ENTRY
from sparsesim.machines.piuma.memory_image import REGION_SHIFT, MemoryImage, Region, build_image
from sparsesim.machines.piuma.network import network_tables
from sparsesim.machines.piuma.spec import WORD_BYTES, PiumaSpec

#: Registers that are set when a thread starts: its number in the core, its core, its number in
#: all cores, the address of its core's scratchpad.
ARGUMENTS = ("tid", "core", "gtid", "spad")
MAX_CYCLES = 1 << 46

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Kernel:
    """An instruction stream with its data.

    Attributes:
        text: assembly; label `multi` is where the threads of multi-threaded pipelines start,
            `single`, if there is one, where those of single-threaded pipelines start.
        constants: link-time constants besides the addresses of regions.
        regions: DRAM it uses.
        core_barrier, global_barrier: threads that take part in a barrier of a core, of all cores.
        arguments: further registers that are set at the start, the same for all threads.
        phases: names of the marks.
    """

    text: str
    constants: Mapping[str, int]
    regions: Sequence[Region]
    core_barrier: int
    global_barrier: int
    arguments: Mapping[str, int] = field(default_factory=dict)
    phases: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """A prepared run: all state that a core reads and writes.

    `arrays` are the arguments of `fast.run` and `stepped.run`, by name and in their order.
    """

    kernel: Kernel
    spec: PiumaSpec
    program: Program
    image: MemoryImage
    arrays: dict[str, npt.NDArray[Any]]


def _log2(value: int) -> int:
    return value.bit_length() - 1


def prepare(kernel: Kernel, spec: PiumaSpec) -> Launch:
    """Lay out memory, assemble, and set every thread to its start."""
    image = build_image(kernel.regions, spec)
    constants = {**kernel.constants, **image.address, "SPAD": image.spad}
    program = assemble(kernel.text, (*ARGUMENTS, *kernel.arguments), constants)
    cores = spec.cores
    groups = 2 * cores
    network = network_tables(spec)
    p = _parameters(kernel, spec, image, network.port_cycles, int(network.latency.max()))
    threads = groups * state.GROUP
    reg = np.zeros(threads * isa.REGISTERS, np.int64)
    thr = np.zeros((threads, state.THREAD), np.int64)
    thr[:, state.T_PC] = -1
    thr[:, state.T_CAUSE] = state.S_FILL
    for group in range(groups):
        core, single = group % cores, group >= cores
        label = "single" if single else "multi"
        count = spec.single_pipelines if single else spec.threads_per_core
        if label not in program.labels:
            continue
        for tid in range(count):
            number = group * state.GROUP + tid
            thr[number, state.T_PC] = program.labels[label]
            values = {
                "tid": tid,
                "core": core,
                "gtid": core * count + tid,
                "spad": image.spad + core * spec.spad_words,
                **kernel.arguments,
            }
            for name, value in values.items():
                reg[number * isa.REGISTERS + program.registers[name]] = value
    banks = cores * spec.dram_channels * spec.dram_banks
    dram = np.zeros(int(p[state.P_DRAM_COUNT_BASE]) + cores * state.DRAM_COUNTS + 1, np.int64)
    dram[1 : banks * state.DRAM_BANK : state.DRAM_BANK] = -1
    pipes = int(p[state.P_PIPES])
    lines = groups * pipes * int(p[state.P_SETS] * p[state.P_WAYS])
    cache = np.zeros(lines * ENTRY, np.int64)
    cache.reshape(-1, ENTRY, spec.cache_ways)[:, 0] = -1
    arrays: dict[str, npt.NDArray[Any]] = {
        "code": program.code.reshape(-1),
        "mem": image.words,
        "memf": image.floats,
        "reg": reg,
        "regf": reg.view(np.float64),
        "p": p,
        "net": np.ascontiguousarray(network.latency.reshape(-1)),
        "dram": dram,
        "cache": cache,
        "spad": np.zeros(cores * spec.spad_banks, np.int64),
        "thr": thr.reshape(-1),
        "eng": np.zeros(cores * state.engine_stride(spec.dma_queue), np.int64),
        "queues": np.zeros(2 * cores * state.QUEUES_PER_CORE, np.int64),
        "cnt": np.zeros(state.COUNTERS, np.int64),
        "pipe": np.zeros(groups * pipes * state.PIPE, np.int64),
        "samples": np.zeros(state.SAMPLES * state.SAMPLE + 2, np.int64),
        "marks": np.zeros(1 + 2 * state.MAX_MARKS, np.int64),
        "region": image.region_of,
        "wheel": np.zeros(state.WHEEL * groups, np.uint64),
        "arrivals": np.zeros(state.WHEEL * (groups + (cores + 63) // 64), np.uint64),
        "occupied": np.zeros(state.WHEEL, np.uint8),
        "masks": np.zeros(groups * state.MASKS, np.uint64),
        "waiting": np.zeros(2 * groups, np.uint64),
        "barriers": np.zeros(cores + 1, np.int64),
    }
    for slot in np.flatnonzero(thr[:, state.T_PC] >= 0):
        group, tid = divmod(int(slot), state.GROUP)
        ready = group * state.MASKS + state.M_READY
        arrays["masks"][ready] |= np.uint64(1) << np.uint64(tid)
    return Launch(kernel, spec, program, image, arrays)


def _parameters(
    kernel: Kernel, spec: PiumaSpec, image: MemoryImage, port_cycles: int, farthest: int
) -> Int64Array:
    channels = spec.cores * spec.dram_channels
    bus_base = channels * spec.dram_banks * state.DRAM_BANK
    line_words = spec.cache_line_bytes // WORD_BYTES
    request = spec.spad_cycles // 2
    values = {
        state.P_CORES: spec.cores,
        state.P_PIPELINES: spec.pipelines,
        state.P_THREADS: spec.threads,
        state.P_THREAD_SHIFT: _log2(spec.threads),
        state.P_SINGLE: spec.single_pipelines,
        state.P_PIPES: max(spec.pipelines, spec.single_pipelines),
        state.P_ISSUE: spec.issue_cycles,
        state.P_SINGLE_ISSUE: spec.single_issue_cycles,
        state.P_TOTAL: image.words.size,
        state.P_SPAD: image.spad,
        state.P_SPAD_SHIFT: _log2(spec.spad_words),
        state.P_CACHED: image.cached_end,
        state.P_ILV_SHIFT: _log2(spec.interleave_bytes // WORD_BYTES),
        state.P_SPAD_BANK_MASK: spec.spad_banks - 1,
        state.P_SPAD_REQUEST: request,
        state.P_SPAD_RESPONSE: spec.spad_cycles - 1 - request,
        state.P_ATOMIC: spec.atomic_cycles,
        state.P_LINE_SHIFT: _log2(line_words),
        state.P_SETS: spec.cache_bytes // spec.cache_line_bytes // spec.cache_ways,
        state.P_WAYS: spec.cache_ways,
        state.P_HIT: spec.cache_cycles,
        state.P_CHANNELS: spec.dram_channels,
        state.P_CHANNEL_SHIFT: _log2(spec.dram_channels),
        state.P_ROW_SHIFT: _log2(spec.dram_row_bytes // WORD_BYTES),
        state.P_BANKS: spec.dram_banks,
        state.P_BURST: spec.dram_burst,
        state.P_TRCD: spec.dram_trcd,
        state.P_TCL: spec.dram_tcl,
        state.P_TRP: spec.dram_trp,
        state.P_TRAS: spec.dram_tras,
        state.P_TREFI: spec.dram_trefi,
        state.P_TRFC: spec.dram_trfc,
        state.P_DRAM_REQUEST: spec.dram_path_cycles // 2,
        state.P_DRAM_RESPONSE: spec.dram_path_cycles - spec.dram_path_cycles // 2,
        state.P_BUS_BASE: bus_base,
        state.P_DRAM_COUNT_BASE: bus_base + channels,
        state.P_DMA_QUEUE: spec.dma_queue,
        state.P_DMA_START: spec.dma_start_cycles,
        state.P_DMA_BEAT_WORDS: spec.dma_beat_bytes // WORD_BYTES,
        state.P_DMA_BEAT_CYCLES: spec.dma_beat_cycles,
        state.P_DMA_OUTSTANDING: spec.dma_outstanding,
        state.P_QUEUE_CYCLES: spec.queue_cycles,
        state.P_QUEUE_LATENCY: spec.queue_latency,
        state.P_BARRIER: spec.barrier_cycles,
        # Arrivals are gathered along the longest path and released along it.
        state.P_GLOBAL_BARRIER: spec.barrier_cycles + 2 * farthest,
        state.P_CORE_BARRIER_COUNT: kernel.core_barrier,
        state.P_GLOBAL_BARRIER_COUNT: kernel.global_barrier,
        state.P_PORT: port_cycles,
        state.P_MAX_CYCLES: MAX_CYCLES,
        state.P_REGION_SHIFT: REGION_SHIFT,
    }
    assert values[state.P_GLOBAL_BARRIER] < state.WHEEL
    p = np.zeros(state.PARAMETERS, np.int64)
    for place, value in values.items():
        p[place] = value
    assert len(values) == state.PARAMETERS
    return p


def execute(launch: Launch, fidelity: str) -> None:
    """Run a prepared launch to its end on the fast or the stepped core.

    Raises:
        CheckError: the kernel faulted: an address outside memory, a trap, a deadlock, no end.
    """
    if fidelity == "stepped":
        from sparsesim.machines.piuma.stepped import run
    else:
        from sparsesim.machines.piuma.fast import run
    fault = int(run(*launch.arrays.values()))
    if fault:
        raise CheckError(_fault_message(launch, fault))


def _fault_message(launch: Launch, fault: int) -> str:
    counters = launch.arrays["cnt"]
    where = ""
    if fault in (isa.FAULT_ADDRESS, isa.FAULT_TRAP, isa.FAULT_RUNAWAY, isa.FAULT_FULL):
        pc = int(counters[state.N_FAULT_PC])
        before = [name for name, start in launch.program.labels.items() if start <= pc]
        where = f" (instruction {pc}, after label {before[-1] if before else '-'!r})"
    what = {
        isa.FAULT_ADDRESS: "an address outside memory",
        isa.FAULT_DEADLOCK: "a deadlock: every thread waits",
        isa.FAULT_RUNAWAY: "a loop without end",
        isa.FAULT_TRAP: f"trap {int(counters[state.N_FAULT_NUMBER])}",
        isa.FAULT_BUDGET: "more clocks than can be counted",
        isa.FAULT_FULL: "a hash table is full: a thread probed more slots than a scratchpad holds",
    }[fault]
    return f"kernel {launch.spec.kernel}: {what}{where}"
