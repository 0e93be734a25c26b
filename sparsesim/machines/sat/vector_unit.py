"""Element-wise work on the vector unit: streams in chunks through a double buffer."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from sparsesim.machines.sat.gemm import EngineTime
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.steps import VectorStep
from sparsesim.machines.sat.streaming import chunk_count, evenly, transfers
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import Tensor


def lane_operations(step: VectorStep, spec: SatSpec) -> int:
    """Lane clocks of all elements: what each part costs per sweep, as often as it runs."""
    total = 0.0
    for part, runs in zip(step.parts, step.runs, strict=True):
        cost = spec.vector_cost(part.function)
        total += part.elements * cost.operations * runs / cost.sweeps
    return ceil(total)


def moved_bytes(step: VectorStep, tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """DRAM bytes read and written."""
    read = sum(times * tensors[name].bytes for name, times in step.read)
    return read, sum(tensors[name].bytes for name in step.written)


def estimated_clocks(step: VectorStep, tensors: Mapping[str, Tensor], spec: SatSpec) -> float:
    """Offline estimate: the longer of lanes and DRAM stream."""
    return max(
        lane_operations(step, spec) / spec.vector_lanes,
        sum(moved_bytes(step, tensors)) / spec.dram_bytes_per_clock,
    )


def simulate_vector(
    step: VectorStep, tensors: Mapping[str, Tensor], spec: SatSpec, fidelity: str
) -> EngineTime:
    """Simulate one stream with exclusive use of the DRAM bandwidth.

    Each lane does one operation per clock.
    """
    read, written = moved_bytes(step, tensors)
    busy = ceil(lane_operations(step, spec) / spec.vector_lanes)
    chunks = chunk_count(read + written, spec.vector_buffer_bytes)
    total, wait_output, wait_memory, dram = transfers(
        evenly(read, chunks), evenly(busy, chunks), evenly(written, chunks), spec, fidelity
    )
    stalls = dict.fromkeys(STALL_CAUSES, 0) | {"output": wait_output, "memory": wait_memory}
    return EngineTime(
        total_cycles=total,
        busy_cycles=busy,
        stall_cycles=stalls,
        dram_cycles=dram,
        bytes={
            "dram_a_read": read,
            "dram_output_write": written,
            "scratchpad_fill_write": read,
            "scratchpad_a_read": read,
            "scratchpad_output_write": written,
            "scratchpad_output_read": written,
        },
    )
