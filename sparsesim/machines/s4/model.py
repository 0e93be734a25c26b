"""The S4 board as a whole: every operator of a trace on SPUs, vector units or the host link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sparsesim.energy import energy_pj, moved_energy
from sparsesim.errors import InputError
from sparsesim.machines.inference_steps import (
    HOST_INPUT,
    Step,
    inference_steps,
    produced_tensors,
    static_tensors,
    timed_steps,
)
from sparsesim.machines.operator_time import OperatorTime
from sparsesim.machines.s4.activation_skipping import without_dead_steps
from sparsesim.machines.s4.balance import padding_report, refuse_unbalanced
from sparsesim.machines.s4.filters import Filters, filters_of, uniform_kept
from sparsesim.machines.s4.gemm import ChipTime, Traffic, simulate_gemm, traffic_of
from sparsesim.machines.s4.placement import Placement, place
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.machines.s4.vector import (
    function_cost,
    simulate_products,
    simulate_transfer,
    simulate_vector,
)
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import Elementwise, Gemm, Reduction, Trace

ENGINES = ("spu", "vpu", "sfu", "host")


def lower(trace: Trace, spec: S4Spec) -> tuple[Step, ...]:
    """What the board runs, in a topological order."""
    return inference_steps(
        trace, lambda function: function_cost(function, spec).fused, spec.element_bytes
    )


def describe(spec: S4Spec) -> dict[str, Any]:
    """Peak rates and sizes of a machine, for results and rooflines."""
    return {
        "pes": spec.lanes,
        "peak_macs_per_cycle": spec.lanes / spec.step_clocks,
        "dram_bytes_per_cycle": spec.dram_bytes_per_clock * spec.dies,
        "on_chip_bytes": spec.dies * spec.cores * (spec.l2_bytes + spec.spus * spec.l1_bytes),
        "board_watts": spec.board_watts,
    }


def padding(trace: Trace, spec: S4Spec, pad: bool) -> dict[str, Any] | None:
    """Refuse masks that break the balanced pattern, or say what padding them costs.

    Raises:
        InputError: without `pad`, the first offending layer, filter and group.
    """
    if not pad:
        refuse_unbalanced(trace, spec)
        return None
    return padding_report(trace, spec)


def batch_of(trace: Trace) -> int:
    """Samples of a trace, as its provenance states them (1 if it does not)."""
    batch = trace.manifest.provenance.get("batch", 1)
    return batch if isinstance(batch, int) and batch > 0 else 1


def simulate_operators(
    trace: Trace,
    spec: S4Spec,
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
    """What the operators of one trace share: filters, placement, and times already found."""

    def __init__(self, trace: Trace, spec: S4Spec, fidelity: str) -> None:
        self.trace, self.spec, self.fidelity = trace, spec, fidelity
        self.tensors = trace.tensors
        self.static = static_tensors(trace)
        self.produced = produced_tensors(trace)
        self.filters: dict[str, Filters] = {}
        by_operand: dict[Any, Filters] = {}
        for op in trace.operators:
            if isinstance(op, Gemm):
                uniform = uniform_kept(op.b, spec) in spec.kept_allowed
                real = None if uniform else op.b.mask  # only then do its bits matter
                static = op.b.tensor in self.static
                height = min(op.m, spec.rows + 1)
                pattern = str(op.b.pattern)
                measured = op.a.mask if spec.activation_density == "trace" else None
                shape = (op.n, op.k, op.group_axis, op.groups, height)
                key = (shape, pattern, real, static, measured)
                if key not in by_operand:
                    stored = filters_of(trace, op, spec)
                    by_operand[key] = (
                        without_dead_steps(trace, stored, op, spec) if static else stored
                    )
                self.filters[op.name] = by_operand[key]
        self.place: Placement = place(trace, self.filters, spec, batch_of(trace), self.static)
        self.chunks = min(spec.stream_chunks, self.place.cut.die_samples)
        self._engines: dict[str, str] = {}
        self._seen: dict[Any, ChipTime] = {}

    def time(self, step: Step) -> OperatorTime:
        op = step.operator
        if step.fused_into is not None:
            return self._fused(step, self._engines.get(step.fused_into, "spu"))
        if op is None:
            direction = "to the board" if not step.deps else "from the board"
            moved = simulate_transfer(step.host_bytes, direction, self.spec)
            return self._record(step, "host", moved, "dense", 0, 0, {})
        if isinstance(op, Gemm):
            return self._gemm(step, op)
        if isinstance(op, Elementwise | Reduction):
            return self._vector(step, op)
        raise InputError(
            f"operator {op.name!r}: kind {op.kind!r} does not run on machine family 's4' "
            "(it runs gemm, elementwise, reduction)"
        )

    def _gemm(self, step: Step, gemm: Gemm) -> OperatorTime:
        spec, filters = self.spec, self.filters[gemm.name]
        traffic = traffic_of(
            self.trace, gemm, filters, self.place, self.static, self.produced, spec
        )
        static = gemm.b.tensor in self.static
        conv = (
            None if gemm.conv is None else (gemm.conv.kernel, gemm.conv.stride, gemm.conv.dilation)
        )
        key = (gemm.m, gemm.n, gemm.k, gemm.groups, conv, id(filters), traffic, static)
        if key not in self._seen:
            self._seen[key] = simulate_gemm(
                gemm, filters, traffic, self.place, static, spec, self.fidelity
            )
        time, engine = self._seen[key], "spu"
        macs = gemm.groups * gemm.m * filters.nonzeros
        on_vpu_macs = gemm.macs_dense  # the vector unit does not skip zero weights
        if gemm.n < spec.cols // 4 and static:
            on_vpu = self._products(traffic, on_vpu_macs)
            if on_vpu.cycles < time.cycles:
                time, engine = on_vpu, "vpu"
        node = spec.node_nm
        energy = {}
        if engine == "spu":
            wide = spec.precision == "bf16"
            multiply, add = (
                ("fp16_multiply", "fp32_add") if wide else ("int8_multiply", "int32_add")
            )
            energy = {
                "multiply": macs * energy_pj(multiply, node),
                "add": macs * energy_pj(add, node),
            }
        else:
            energy = {"vector": on_vpu_macs * energy_pj("vector_operation", node)}
        return self._record(step, engine, time, filters.label, gemm.macs_dense, macs, energy)

    def _products(self, traffic: Traffic, macs: int) -> ChipTime:
        parts = self.place.cut.parts
        return simulate_products(
            macs,
            ((traffic.a_bytes + traffic.b_bytes) * parts, traffic.out_bytes * parts),
            ((traffic.dram_a + traffic.dram_b) * parts, traffic.dram_out * parts),
            self.place.cut,
            self.spec,
            self.fidelity,
        )

    def _vector(self, step: Step, op: Elementwise | Reduction) -> OperatorTime:
        cost = function_cost(op.function, self.spec)
        width = cost.element_bytes
        activations = [name for name in op.inputs if self.tensors[name].role == "activation"]
        read = sum(self.tensors[name].elements for name in activations) * width
        written = sum(self.tensors[name].elements for name in op.outputs) * width
        dram_read = width * sum(
            self.tensors[name].elements
            for name in op.inputs
            # Embedding tables lie in DRAM, as do activations that found no room.
            if name.split("[")[0] in self.place.in_dram
            or (op.function == "embedding" and self.tensors[name].role == "weight")
        )
        dram_written = width * sum(
            self.tensors[name].elements for name in op.outputs if name in self.place.in_dram
        )
        cut = self.place.cut
        time = simulate_vector(
            op, (cut.of_die(read), cut.of_die(written)),
            (cut.of_die(dram_read), cut.of_die(dram_written)), cut, self.spec, self.fidelity,
        )  # fmt: skip
        operations = op.elements * cost.operations
        energy = {"vector": operations * energy_pj("vector_operation", self.spec.node_nm)}
        return self._record(step, cost.unit, time, "dense", 0, 0, energy)

    def _record(
        self,
        step: Step,
        engine: str,
        time: ChipTime,
        pattern: str,
        dense: int,
        effective: int,
        energy: dict[str, float],
    ) -> OperatorTime:
        self._engines[step.name] = engine
        parts = self.place.cut.parts
        return OperatorTime(
            engine=engine,
            mapping=time.mapping,
            pattern=pattern,
            cycles=time.cycles,
            busy_cycles=time.busy_cycles,
            stall_cycles=time.stall_cycles,
            dram_cycles=time.dram_cycles,
            predicted_cycles=time.predicted_cycles,
            macs_dense=dense,
            macs_effective=effective,
            bytes=time.bytes,
            energy_pj=moved_energy(time.bytes, self.spec.node_nm) | energy,
            details={"limits": time.limits},
            follows=frozenset(step.deps) if self.chunks > 1 else frozenset(),
            parts=max(self.chunks, parts) if step.name == HOST_INPUT else self.chunks,
            # While one part of the batch runs through the network, the next one's inputs arrive.
            ahead=frozenset(step.deps) & {HOST_INPUT} if parts > 1 else frozenset(),
        )

    def _fused(self, step: Step, engine: str) -> OperatorTime:
        nothing = dict.fromkeys(STALL_CAUSES, 0)
        time = ChipTime(0, 0, nothing, 0, 0, {}, f"fused into {step.fused_into}", {})
        record = self._record(step, engine, time, "dense", 0, 0, {})
        return replace(record, follows=frozenset())
