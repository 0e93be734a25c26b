"""A machine of matrix units as a whole: products, element-wise work and the host link."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from sparsesim.energy import energy_pj, moved_energy
from sparsesim.errors import InputError
from sparsesim.machines.inference_steps import (
    Step,
    inference_steps,
    produced_tensors,
    static_tensors,
    timed_steps,
)
from sparsesim.machines.matrix_unit.spec import MatrixUnitSpec, Tile, VectorFunction
from sparsesim.machines.matrix_unit.unit import slice_clocks
from sparsesim.machines.operator_time import OperatorTime
from sparsesim.memory import double_buffer
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import NM, Elementwise, Gemm, Reduction, Trace

ENGINES = ("matrix", "vector", "host")


def describe(spec: MatrixUnitSpec) -> dict[str, Any]:
    """Peak rates and sizes of a machine, for results and rooflines."""
    macs = spec.units * spec.macs_per_clock
    return {
        "pes": macs,
        "peak_macs_per_cycle": macs,
        "dram_bytes_per_cycle": spec.dram_bytes_per_clock,
        "on_chip_bytes": spec.l2_bytes,
        "board_watts": spec.board_watts,
    }


def lower(trace: Trace, spec: MatrixUnitSpec) -> tuple[Step, ...]:
    """What the machine runs, in a topological order."""
    return inference_steps(trace, lambda name: cost_of(name, spec).fused, spec.element_bytes)


def cost_of(function: str, spec: MatrixUnitSpec) -> VectorFunction:
    """Entry of the machine file for a function."""
    return spec.vector_functions.get(function, spec.vector_functions["default"])


def is_2_4(gemm: Gemm, spec: MatrixUnitSpec) -> bool:
    """Whether the hardware uses the weights' pattern: 2:4 along the reduction, or a part of it."""
    pattern = gemm.b.pattern
    if not spec.sparse_2_4 or not isinstance(pattern, NM) or pattern.axis != "k":
        return False
    return pattern.m in (2, 4) and pattern.n * 4 <= 2 * pattern.m


def simulate_operators(
    trace: Trace,
    spec: MatrixUnitSpec,
    fidelity: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[OperatorTime]:
    """Simulate each step of `lower(trace, spec)` alone, in order.

    Raises:
        InputError: an operator this machine has no hardware for.
    """
    chip = _Chip(trace, spec, fidelity)
    return timed_steps(lower(trace, spec), chip.time, progress)


class _Chip:
    def __init__(self, trace: Trace, spec: MatrixUnitSpec, fidelity: str) -> None:
        self.spec, self.tensors = spec, trace.tensors
        self.static, self.produced = static_tensors(trace), produced_tensors(trace)
        self.buffer = double_buffer.fast if fidelity == "fast" else double_buffer.stepped
        self.chunks = spec.host_chunks
        self._engines: dict[str, str] = {}
        self._seen: dict[Any, tuple[Any, ...]] = {}

    def time(self, step: Step) -> OperatorTime:
        op = step.operator
        stalls = dict.fromkeys(STALL_CAUSES, 0)
        if step.fused_into is not None:
            engine = self._engines.get(step.fused_into, "matrix")
            return self._record(
                step, engine, f"fused into {step.fused_into}", 0, stalls, 0, 0, {}, {}
            )
        if op is None:
            busy = ceil(step.host_bytes / self.spec.host_bytes_per_clock)
            stalls["fill_drain"] = self.spec.host_latency
            return self._record(
                step, "host", f"{step.host_bytes} bytes", busy, stalls, 0, busy, {}, {}
            )
        if isinstance(op, Gemm):
            return self._gemm(step, op)
        if isinstance(op, Elementwise | Reduction):
            return self._vector(step, op)
        raise InputError(
            f"operator {op.name!r}: kind {op.kind!r} does not run on machine family "
            "'matrix_unit' (it runs gemm, elementwise, reduction)"
        )

    def _in_dram(self, tensor: str) -> bool:
        """Weights and inputs, and activations that half of L2 does not hold."""
        size = self.tensors[tensor].elements * self.spec.element_bytes
        return tensor.split("[")[0] not in self.produced or size > self.spec.l2_bytes // 2

    def _size(self, tensor: str) -> int:
        return self.tensors[tensor].elements * self.spec.element_bytes

    def _gemm(self, step: Step, gemm: Gemm) -> OperatorTime:
        spec = self.spec
        sparse = is_2_4(gemm, spec)
        b_bytes = gemm.groups * gemm.n * gemm.k * spec.element_bytes
        metadata = 0
        if sparse:  # half of the values, and 2 bits for each
            b_bytes //= 2
            metadata = b_bytes // spec.element_bytes // 4
        in_dram = (
            self._size(gemm.a.tensor) if self._in_dram(gemm.a.tensor) else 0,
            b_bytes if self._in_dram(gemm.b.tensor) else 0,
            metadata if self._in_dram(gemm.b.tensor) else 0,
            self._size(gemm.output) if self._in_dram(gemm.output) else 0,
        )
        key = (gemm.m, gemm.n, gemm.k, gemm.groups, sparse, in_dram)
        if key not in self._seen:
            best = min(spec.tiles, key=lambda tile: self._predict(gemm, tile, sparse))
            self._seen[key] = (best, *self._tiled(gemm, best, sparse, in_dram))
        tile, busy, stalls, predicted = self._seen[key]
        macs = gemm.macs_dense // (2 if sparse else 1)
        l2 = self._l2_bytes(gemm, tile, sparse)
        moved = {
            "dram_a_read": in_dram[0],
            "dram_b_read": in_dram[1],
            "dram_metadata_read": in_dram[2],
            "dram_output_write": in_dram[3],
            "scratchpad_fill_write": l2,
            "scratchpad_a_read": 2 * macs * spec.element_bytes // spec.operand_reuse,
            "register_read": macs * (2 * spec.element_bytes + 4) // 8,
            "register_write": macs * 4 // 8,
        }
        wide = spec.element_bytes == 2
        actions = ("fp16_multiply", "fp32_add") if wide else ("int8_multiply", "int32_add")
        energy = {
            part: macs * energy_pj(action, spec.node_nm)
            for part, action in zip(("multiply", "add"), actions, strict=True)
        }
        mapping = f"{tile.m}x{tile.n}x{tile.k}"
        return self._record(
            step, "matrix", mapping, busy, dict(stalls), sum(in_dram), predicted, moved, energy,
            "2:4" if sparse else "dense", gemm.macs_dense, macs,
        )  # fmt: skip

    def _blocks(self, gemm: Gemm, tile: Tile) -> int:
        return gemm.groups * ceil(gemm.m / tile.m) * ceil(gemm.n / tile.n)

    def _predict(self, gemm: Gemm, tile: Tile, sparse: bool) -> float:
        clocks, _ = slice_clocks(self.spec, tile, min(tile.k, gemm.k), sparse)
        waves = ceil(self._blocks(gemm, tile) / self.spec.units)
        l2 = self._l2_bytes(gemm, tile, sparse) / self.spec.l2_bytes_per_clock
        return max(waves * ceil(gemm.k / tile.k) * clocks, l2)

    def _l2_bytes(self, gemm: Gemm, tile: Tile, sparse: bool) -> int:
        """Bytes from L2: each tile of the result reads its rows and columns once."""
        share = 0.5625 if sparse else 1.0
        per_tile = (min(tile.m, gemm.m) + share * min(tile.n, gemm.n)) * gemm.k
        return ceil(self._blocks(gemm, tile) * per_tile * self.spec.element_bytes)

    def _tiled(
        self, gemm: Gemm, tile: Tile, sparse: bool, in_dram: tuple[int, ...]
    ) -> tuple[int, dict[str, int], int]:
        """Busy clocks and stalls of the fullest unit: slices staged while others are multiplied."""
        spec = self.spec
        blocks = self._blocks(gemm, tile)
        mine = ceil(blocks / spec.units)
        depth = min(tile.k, gemm.k)
        slices = ceil(gemm.k / tile.k)
        rows = Tile(m=min(tile.m, gemm.m), n=tile.n, k=tile.k) if spec.kind == "systolic" else tile
        clocks, products = slice_clocks(spec, rows, depth, sparse)
        steps = mine * slices
        compute = np.full(steps, clocks, np.int64)
        active = min(blocks, spec.units)
        l2 = self._l2_bytes(gemm, tile, sparse) / blocks / slices * active
        inside_load = np.full(steps, ceil(l2 / spec.l2_bytes_per_clock), np.int64)
        fetched = sum(in_dram[:3]) / steps / spec.dram_bytes_per_clock
        load = np.maximum(inside_load, ceil(fetched))
        store = np.zeros(steps, np.int64)
        store[slices - 1 :: slices] = ceil(in_dram[3] / mine / spec.dram_bytes_per_clock)
        latency = spec.dram_latency if sum(in_dram) else 0
        whole = int(self.buffer(load, compute, store, 1.0, latency)[double_buffer.TOTAL])
        nothing = np.zeros(steps, np.int64)
        inside = int(self.buffer(inside_load, compute, nothing, 1.0, 0)[double_buffer.TOTAL])
        mean = ceil(blocks * slices * products / spec.units)
        stalls = dict.fromkeys(STALL_CAUSES, 0)
        waiting = steps * (clocks - products)
        stalls |= {
            "input": inside - int(compute.sum()) + (0 if spec.kind == "systolic" else waiting),
            "memory": whole - inside,
            "imbalance": steps * products - mean,
            "fill_drain": spec.operator_clocks + (waiting if spec.kind == "systolic" else 0),
        }
        return mean, stalls, ceil(self._predict(gemm, tile, sparse)) + spec.operator_clocks

    def _vector(self, step: Step, op: Elementwise | Reduction) -> OperatorTime:
        spec = self.spec
        cost = cost_of(op.function, spec)
        busy = ceil(op.elements * cost.operations / spec.vector_lanes)
        read = sum(self._size(name) for name in op.inputs)
        written = sum(self._size(name) for name in op.outputs)
        from_dram = sum(self._size(name) for name in op.inputs if self._in_dram(name))
        to_dram = sum(self._size(name) for name in op.outputs if self._in_dram(name))
        onchip = ceil((read + written) / spec.l2_bytes_per_clock)
        rate = spec.dram_bytes_per_clock

        def run(load: int, store: int) -> int:
            edges = np.arange(17, dtype=np.int64)
            on, off, compute, out = (
                np.diff(edges * total // 16) for total in (onchip, load, busy, store)
            )
            latency = spec.dram_latency if load + store else 0
            outcome = self.buffer(np.maximum(on, off), compute, out, 1.0, latency)
            return int(outcome[double_buffer.TOTAL])

        inside, whole = run(0, 0), run(ceil(from_dram / rate), ceil(to_dram / rate))
        stalls = dict.fromkeys(STALL_CAUSES, 0)
        stalls |= {
            "input": inside - busy,
            "memory": whole - inside,
            "fill_drain": spec.operator_clocks,
        }
        moved = {
            "dram_a_read": from_dram,
            "dram_output_write": to_dram,
            "scratchpad_access": read + written,
        }
        energy = {
            "vector": op.elements * cost.operations * energy_pj("vector_operation", spec.node_nm)
        }
        return self._record(
            step, "vector", op.function, busy, stalls, from_dram + to_dram,
            max(busy, onchip) + spec.operator_clocks, moved, energy,
        )  # fmt: skip

    def _record(
        self,
        step: Step,
        engine: str,
        mapping: str,
        busy: int,
        stalls: dict[str, int],
        dram: int,
        predicted: int,
        moved: dict[str, int],
        energy: dict[str, float],
        pattern: str = "dense",
        dense: int = 0,
        effective: int = 0,
    ) -> OperatorTime:
        self._engines[step.name] = engine
        host = [dep for dep in step.deps if dep.startswith("host.")]
        from_host = step.host_bytes > 0
        return OperatorTime(
            engine=engine,
            mapping=mapping,
            pattern=pattern,
            cycles=busy + sum(stalls.values()),
            busy_cycles=busy,
            stall_cycles=stalls,
            dram_cycles=ceil(dram / self.spec.dram_bytes_per_clock),
            predicted_cycles=predicted,
            macs_dense=dense,
            macs_effective=effective,
            bytes=moved,
            energy_pj=moved_energy(moved, self.spec.node_nm) | energy,
            follows=frozenset(host if not step.fused_into else ()),
            parts=self.chunks if from_host and not step.deps else 1,
        )
