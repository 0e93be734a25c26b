"""The N:M sorter (SORE): lanes that take one value a clock, and what a tensor takes on them.

Groups are dealt to the lanes evenly; the lane with the most groups decides. Its clocks are those of
`stepped_sorter.py`: M per group and N until the last kept value is out.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from sparsesim.machines.sat.gemm import EngineTime
from sparsesim.machines.sat.im2col import ELEMENT_BYTES
from sparsesim.machines.sat.sorter_ports import SorterStimulus, sorter_spec
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.stepped_sorter import run_sorter, stream_clocks
from sparsesim.machines.sat.steps import ReductionStep
from sparsesim.machines.sat.streaming import chunk_count, evenly, transfers
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import NM


def lane_clocks(elements: int, pattern: NM, spec: SatSpec, fidelity: str) -> int:
    """Clocks of the busiest lane, from its first value in to its last value out."""
    groups = ceil(elements / pattern.m / spec.sorter_lanes)
    if fidelity == "stepped":
        return _stepped_lane_clocks(groups, pattern, spec)
    return stream_clocks(groups, pattern.m, pattern.n)


def _stepped_lane_clocks(groups: int, pattern: NM, spec: SatSpec) -> int:
    values = groups * pattern.m
    clocks = values + 2 * pattern.m + 2
    always = np.ones(clocks, np.bool_)
    position = np.arange(clocks)
    response = run_sorter(
        sorter_spec(spec),
        SorterStimulus(
            i_valid=position < values,
            i_value=np.ones(clocks, np.uint16),
            i_last=position % pattern.m == pattern.m - 1,
            keep=np.full(clocks, pattern.n, np.int64),
            o_ready=always,
        ),
    )
    return int(np.flatnonzero(response.o_valid)[-1]) + 1


def compact_bytes(elements: int, pattern: NM) -> tuple[int, int]:
    """Bytes of the kept values and of their position indices."""
    kept = ceil(elements / pattern.m) * pattern.n
    return ELEMENT_BYTES * kept, ceil(kept * pattern.index_bits / 8)


def simulate_reduction(step: ReductionStep, spec: SatSpec, fidelity: str) -> EngineTime:
    """Simulate one tensor through the sorter with exclusive use of the DRAM bandwidth."""
    read = ELEMENT_BYTES * step.elements
    values, indices = compact_bytes(step.elements, step.pattern)
    clocks = lane_clocks(step.elements, step.pattern, spec, fidelity)
    busy = clocks - step.pattern.n
    chunks = chunk_count(read + values + indices, spec.sorter_buffer_bytes)
    compute = evenly(busy, chunks)
    compute[-1] += step.pattern.n  # the last group leaves
    total, wait_output, wait_memory, dram = transfers(
        evenly(read, chunks), compute, evenly(values + indices, chunks), spec, fidelity
    )
    return EngineTime(
        total_cycles=total,
        busy_cycles=busy,
        stall_cycles=dict.fromkeys(STALL_CAUSES, 0)
        | {"output": wait_output, "memory": wait_memory, "fill_drain": step.pattern.n},
        dram_cycles=dram,
        bytes={
            "dram_a_read": read,
            "dram_output_write": values,
            "dram_metadata_write": indices,
            "scratchpad_fill_write": read,
            "scratchpad_a_read": read,
            "scratchpad_output_write": values + indices,
            "scratchpad_output_read": values + indices,
        },
    )
