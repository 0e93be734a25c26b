"""Element-wise work on the vector unit: chunks through a double buffer against DRAM."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.gemm import EngineTime
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.memory import double_buffer
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import Elementwise, Reduction, Tensor


def simulate_vector(
    operator: Elementwise | Reduction,
    tensors: Mapping[str, Tensor],
    spec: SatSpec,
    fidelity: str,
) -> EngineTime:
    """Simulate one element-wise operator with exclusive use of the DRAM bandwidth.

    Inputs stream from DRAM, outputs back to it (nothing is fused); a function of several sweeps
    reads its first input that often. Each lane does one operation per clock.
    """
    cost = spec.vector_functions.get(operator.function, spec.vector_functions["default"])
    read = sum(tensors[name].bytes for name in operator.inputs)
    if operator.inputs:
        read += (cost.sweeps - 1) * tensors[operator.inputs[0]].bytes
    written = sum(tensors[name].bytes for name in operator.outputs)
    busy = ceil(operator.elements * cost.operations / spec.vector_lanes)
    chunks = max(1, ceil((read + written) / (spec.vector_buffer_bytes // 2)))
    model = double_buffer.stepped if fidelity == "stepped" else double_buffer.fast
    load, store = _even(read, chunks), _even(written, chunks)
    total, wait_output, wait_memory = model(
        load, _even(busy, chunks), store, spec.dram_bytes_per_clock, spec.dram_latency
    )
    stalls = dict.fromkeys(STALL_CAUSES, 0)
    stalls |= {"output": int(wait_output), "memory": int(wait_memory)}
    return EngineTime(
        total_cycles=int(total),
        busy_cycles=busy,
        stall_cycles=stalls,
        dram_cycles=int(np.ceil((load + store) / spec.dram_bytes_per_clock).sum()),
        bytes={"dram_a_read": read, "dram_output_write": written},
    )


def predicted_vector_cycles(time: EngineTime, spec: SatSpec) -> int:
    """Offline estimate: the longer of lanes and DRAM stream."""
    moved = sum(time.bytes.values())
    return max(time.busy_cycles, ceil(moved / spec.dram_bytes_per_clock))


def _even(total: int, parts: int) -> npt.NDArray[np.int64]:
    """`total` split into `parts` nearly equal whole numbers."""
    part = np.arange(parts + 1, dtype=np.int64)
    edges = part * (total // parts) + part * (total % parts) // parts  # no product overflows
    return np.diff(edges)
