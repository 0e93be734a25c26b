"""Element-wise work on the vector and special-function units, and host transfers."""

from __future__ import annotations

from math import ceil

import numpy as np

from sparsesim.machines.s4.gemm import ChipTime
from sparsesim.machines.s4.placement import BatchCut
from sparsesim.machines.s4.spec import S4Spec, VectorFunction
from sparsesim.memory import double_buffer
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import Elementwise, Reduction

_BLOCKS = 16


def function_cost(function: str, spec: S4Spec) -> VectorFunction:
    """Entry of the machine file for a function."""
    return spec.vector_functions.get(function, spec.vector_functions["default"])


def simulate_vector(
    operator: Elementwise | Reduction,
    moved: tuple[int, int],
    dram: tuple[int, int],
    cut: BatchCut,
    spec: S4Spec,
    fidelity: str,
) -> ChipTime:
    """One function on the units of all cores, with the DRAM to itself.

    Args:
        moved: bytes (read, written) on the fullest die; dram: those in DRAM.
        cut: how the batch is cut.
    """
    cost = function_cost(operator.function, spec)
    lanes = spec.vpu_operations if cost.unit == "vpu" else spec.sfu_operations
    # Rates are of INT8 on the VPU; wider operands take a lane's width more often.
    weight = cost.operations * (cost.element_bytes if cost.unit == "vpu" else 1)
    busy = ceil(cut.of_die(operator.elements * weight) / (lanes * spec.cores))
    return _streamed(busy, moved, dram, cut, operator.function, spec, fidelity)


def simulate_products(
    macs: int,
    moved: tuple[int, int],
    dram: tuple[int, int],
    cut: BatchCut,
    spec: S4Spec,
    fidelity: str,
) -> ChipTime:
    """A GEMM too narrow for the SPUs (depthwise convolution) on the vector units."""
    operations = cut.of_die(2 * macs * spec.element_bytes)
    busy = ceil(operations / (spec.vpu_operations * spec.cores))
    return _streamed(busy, moved, dram, cut, "products on the vpu", spec, fidelity)


def _streamed(
    busy: int,
    moved: tuple[int, int],
    dram: tuple[int, int],
    cut: BatchCut,
    mapping: str,
    spec: S4Spec,
    fidelity: str,
) -> ChipTime:
    dram_read, dram_written = dram
    of_board = cut.batch / cut.die_samples
    onchip = ceil(sum(moved) / (spec.l2_bytes_per_clock * spec.cores))
    rate = spec.dram_bytes_per_clock
    inside = _blocks(busy, onchip, 0, 0, spec, fidelity)
    whole = _blocks(busy, onchip, ceil(dram_read / rate), ceil(dram_written / rate), spec, fidelity)
    stalls = dict.fromkeys(STALL_CAUSES, 0)
    stalls |= {
        "input": inside - busy,
        "memory": whole - inside,
        "fill_drain": spec.operator_clocks * cut.parts,
    }
    return ChipTime(
        cycles=whole + spec.operator_clocks * cut.parts,
        busy_cycles=busy,
        stall_cycles=stalls,
        dram_cycles=ceil((dram_read + dram_written) / rate),
        predicted_cycles=max(busy, onchip) + spec.operator_clocks * cut.parts,
        bytes={
            "dram_a_read": round(dram_read * of_board),
            "dram_output_write": round(dram_written * of_board),
            "scratchpad_access": round(sum(moved) * of_board),
        },
        mapping=mapping,
        limits={"compute": busy, "l2": onchip, "dram": ceil((dram_read + dram_written) / rate)},
    )


def _blocks(busy: int, onchip: int, load: int, store: int, spec: S4Spec, fidelity: str) -> int:
    model = double_buffer.fast if fidelity == "fast" else double_buffer.stepped
    outcome = model(
        np.maximum(_even(onchip), _even(load)), _even(busy), _even(store), 1.0,
        spec.dram_latency if load + store else 0,
    )  # fmt: skip
    return int(outcome[double_buffer.TOTAL])


def _even(total: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    edges = np.arange(_BLOCKS + 1, dtype=np.int64) * total // _BLOCKS
    return np.diff(edges)


def simulate_transfer(size: int, direction: str, spec: S4Spec) -> ChipTime:
    """Bytes over the host link of the board; the link is busy but for its latency."""
    busy = ceil(size / spec.host_bytes_per_clock)
    stalls = dict.fromkeys(STALL_CAUSES, 0) | {"fill_drain": spec.host_latency}
    return ChipTime(
        cycles=busy + spec.host_latency,
        busy_cycles=busy,
        stall_cycles=stalls,
        dram_cycles=0,
        predicted_cycles=busy + spec.host_latency,
        bytes={},
        mapping=f"{direction} {size} bytes",
        limits={"host": busy},
    )
