"""The weight update engine (WUVE): optimizer lanes, and the sorter behind them.

A chunk of gradients, master weights and optimizer state streams in; the new weight leaves each lane
as FP32 master and as FP16 copy. With pre-generated N:M weights the FP16 values pass the sorter
before they go to the DRAM, once for each copy (the forward and the backward pass group along
different axes). Engine and sorter work on the same chunks at the same time: the slower of the two
sets the pace, and the other waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from sparsesim.machines.sat.gemm import EngineTime
from sparsesim.machines.sat.im2col import ELEMENT_BYTES
from sparsesim.machines.sat.sorter import compact_bytes, lane_clocks
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.stepped_update_engine import (
    lane_latency,
    run_update_lane,
    stream_clocks,
)
from sparsesim.machines.sat.steps import UpdateStep
from sparsesim.machines.sat.streaming import chunk_count, evenly, transfers
from sparsesim.machines.sat.update_lane_ports import UpdateStimulus, update_lane_spec
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import Tensor


@dataclass(frozen=True)
class UpdateTime:
    """Clocks of the engine and, if copies were selected, of the sorter over the same time."""

    engine: EngineTime
    sorter: EngineTime | None


def engine_clocks(elements: int, function: str, spec: SatSpec, fidelity: str) -> int:
    """Clocks of the busiest lane, from its first element in to its last result out."""
    share = ceil(elements / spec.update_lanes) * spec.update_functions[function].clocks
    lane = update_lane_spec(spec)
    if fidelity != "stepped":
        return stream_clocks(lane, share)
    clocks = share + lane_latency(lane) + 1
    zeros = np.zeros(clocks, np.uint32)
    response = run_update_lane(
        lane,
        UpdateStimulus(
            i_valid=np.arange(clocks) < share,
            i_gradient=np.zeros(clocks, np.uint16),
            i_weight=zeros,
            i_velocity=zeros,
            i_pruned=np.zeros(clocks, np.bool_),
            learning_rate=zeros,
            momentum=zeros,
            decay=zeros,
            decay_pruned=zeros,
            o_ready=np.ones(clocks, np.bool_),
        ),
    )
    return int(np.flatnonzero(response.o_valid)[-1]) + 1


def simulate_update(
    step: UpdateStep, tensors: Mapping[str, Tensor], spec: SatSpec, fidelity: str
) -> UpdateTime:
    """Simulate one optimizer step with exclusive use of the DRAM bandwidth."""
    operator = step.operator
    read = sum(tensors[name].bytes for name in operator.inputs)
    state = sum(tensors[name].bytes for name in operator.outputs if _kept(tensors[name]))
    copies = [compact_bytes(operator.elements, pattern) for pattern in step.reductions]
    values = sum(size for size, _indices in copies)
    values += ELEMENT_BYTES * operator.elements * step.dense_copy
    indices = sum(size for _values, size in copies)
    written = state + values + indices

    update = engine_clocks(operator.elements, operator.function, spec, fidelity)
    latency = lane_latency(update_lane_spec(spec))
    busy = update - latency
    sorts = [lane_clocks(operator.elements, p, spec, fidelity) for p in step.reductions]
    drained = max((pattern.n for pattern in step.reductions), default=0)
    selecting = sum(sorts) - sum(pattern.n for pattern in step.reductions)
    chunks = chunk_count(read + written, spec.update_buffer_bytes)
    compute = np.maximum(evenly(busy, chunks), evenly(selecting, chunks))
    pace = int(compute.sum())
    compute[-1] += latency + drained
    total, wait_output, wait_memory, dram = transfers(
        evenly(read, chunks), compute, evenly(written, chunks), spec, fidelity
    )
    shared = {"memory": wait_memory, "fill_drain": latency + drained}
    moved = {
        "dram_a_read": read,
        "dram_output_write": state + values,
        "dram_metadata_write": indices,
        "scratchpad_fill_write": read,
        "scratchpad_a_read": read,
        "scratchpad_output_write": written,
        "scratchpad_output_read": written,
    }
    none = dict.fromkeys(STALL_CAUSES, 0)
    engine = EngineTime(
        total, busy, none | shared | {"output": wait_output + pace - busy}, dram, moved
    )
    if not sorts:
        return UpdateTime(engine, None)
    stalls = none | shared | {"output": wait_output, "input": pace - selecting}
    return UpdateTime(engine, EngineTime(total, selecting, stalls, dram, {}))


def _kept(tensor: Tensor) -> bool:
    return tensor.role != "weight"
