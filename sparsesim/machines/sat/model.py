"""The SAT machine as a whole: every step of a trace on one of its four engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from sparsesim.energy import energy_pj, moved_energy
from sparsesim.machines.operator_time import EngineShare, OperatorTime
from sparsesim.machines.sat.gemm import EngineTime, simulate_gemm
from sparsesim.machines.sat.lowering import lower
from sparsesim.machines.sat.problem import Problem, problem_of
from sparsesim.machines.sat.schedule import Schedule, choose_schedule
from sparsesim.machines.sat.sorter import simulate_reduction
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.steps import GemmStep, ReductionStep, UpdateStep, VectorStep
from sparsesim.machines.sat.update_engine import UpdateTime, simulate_update
from sparsesim.machines.sat.vector_unit import estimated_clocks, lane_operations, simulate_vector
from sparsesim.results.record import STALL_CAUSES
from sparsesim.trace import NM, Tensor, Trace

ENGINES = ("array", "vector", "update", "sorter")

__all__ = ["ENGINES", "describe", "lower", "simulate_operators"]


def describe(spec: SatSpec) -> dict[str, Any]:
    """Peak rates, sizes and register cost of a machine, for results and rooflines."""
    return {
        "pes": spec.pes,
        "peak_macs_per_cycle": spec.pes,
        "dram_bytes_per_cycle": spec.dram_bytes_per_clock,
        "on_chip_bytes": spec.act_buffer_bytes
        + spec.weight_buffer_bytes
        + spec.out_buffer_bytes
        + spec.vector_buffer_bytes
        + spec.sorter_buffer_bytes
        + spec.update_buffer_bytes,
        "pe_register_bits": spec.pe_register_bits(),
    }


def simulate_operators(
    trace: Trace,
    spec: SatSpec,
    fidelity: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[OperatorTime]:
    """Simulate each of the steps that `lower` makes of `trace` alone, in order.

    GEMMs of the same shape and pattern take the same time and are simulated once.

    Raises:
        InputError: an operator or pattern this machine has no hardware for.
    """
    tensors = trace.tensors
    steps = lower(trace, spec)
    seen: dict[Problem, tuple[Schedule, EngineTime]] = {}
    times = []
    for number, step in enumerate(steps):
        match step:
            case GemmStep():
                problem = problem_of(step.gemm, spec)
                if problem not in seen:
                    schedule = choose_schedule(problem, spec, step.name)
                    seen[problem] = schedule, simulate_gemm(problem, schedule, spec, fidelity)
                times.append(_gemm_time(step, problem, *seen[problem], spec))
            case VectorStep():
                times.append(_vector_time(step, tensors, spec, fidelity))
            case UpdateStep():
                time = simulate_update(step, tensors, spec, fidelity)
                times.append(_update_time(step, time, spec))
            case ReductionStep():
                times.append(_reduction_time(step, spec, fidelity))
        if progress is not None:
            progress(number + 1, len(steps))
    return times


def _gemm_time(
    step: GemmStep, problem: Problem, schedule: Schedule, time: EngineTime, spec: SatSpec
) -> OperatorTime:
    macs = problem.macs_effective
    energy = moved_energy(time.bytes, spec.node_nm)
    energy["multiply"] = macs * energy_pj("fp16_multiply", spec.node_nm)
    energy["add"] = macs * energy_pj("fp32_add", spec.node_nm)
    return _operator_time(
        "array",
        " +".join([schedule.mapping, *step.drained]),
        time,
        schedule.predicted_cycles,
        energy,
        pattern=f"{problem.kept}:{problem.group}" if problem.sparse else "dense",
        macs_dense=step.gemm.macs_dense,
        macs_effective=macs,
    )


def _vector_time(
    step: VectorStep, tensors: Mapping[str, Tensor], spec: SatSpec, fidelity: str
) -> OperatorTime:
    time = simulate_vector(step, tensors, spec, fidelity)
    energy = moved_energy(time.bytes, spec.node_nm)
    operations = lane_operations(step, spec)
    energy["vector"] = operations * energy_pj("vector_operation", spec.node_nm)
    functions = "+".join(part.function for part in step.parts)
    estimate = ceil(estimated_clocks(step, tensors, spec)) + 2 * spec.dram_latency
    return _operator_time("vector", functions, time, estimate, energy)


def _update_time(step: UpdateStep, time: UpdateTime, spec: SatSpec) -> OperatorTime:
    operator = step.operator
    energy = moved_energy(time.engine.bytes, spec.node_nm)
    operations = operator.elements * spec.update_functions[operator.function].operations
    energy["vector"] = operations * energy_pj("vector_operation", spec.node_nm)
    copies = [f"{pattern.n}:{pattern.m}" for pattern in step.reductions]
    beside: tuple[EngineShare, ...] = ()
    paced = time.engine.busy_cycles
    if time.sorter is not None:
        compared = sum(_compare_energy(operator.elements, p, spec) for p in step.reductions)
        beside = (
            EngineShare(
                "sorter",
                "select " + " ".join(copies),
                time.sorter.busy_cycles,
                time.sorter.stall_cycles,
                {"sort": compared},
            ),
        )
        paced = max(paced, time.sorter.busy_cycles)
    moved = sum(size for name, size in time.engine.bytes.items() if name.startswith("dram_"))
    return _operator_time(
        "update",
        operator.function,
        time.engine,
        _streamed(paced, moved, time.engine.stall_cycles["fill_drain"], spec),
        energy,
        pattern=" ".join(["dense"] * step.dense_copy + copies),
        beside=beside,
    )


def _reduction_time(step: ReductionStep, spec: SatSpec, fidelity: str) -> OperatorTime:
    time = simulate_reduction(step, spec, fidelity)
    energy = moved_energy(time.bytes, spec.node_nm)
    energy["sort"] = _compare_energy(step.elements, step.pattern, spec)
    moved = sum(size for name, size in time.bytes.items() if name.startswith("dram_"))
    kept = f"{step.pattern.n}:{step.pattern.m}"
    estimate = _streamed(time.busy_cycles, moved, time.stall_cycles["fill_drain"], spec)
    beside: tuple[EngineShare, ...] = ()
    if step.holds_array:
        waits = dict.fromkeys(STALL_CAUSES, 0) | {"input": time.total_cycles}
        beside = (EngineShare("array", "waits for weights", 0, waits, {}),)
    return _operator_time(
        "sorter", f"select {kept}", time, estimate, energy, pattern=kept, beside=beside
    )


def _streamed(lanes: int, moved: int, drain: int, spec: SatSpec) -> int:
    """Offline estimate: the longer of lanes and DRAM stream, drain, first load and last store."""
    return max(lanes, ceil(moved / spec.dram_bytes_per_clock)) + drain + 2 * spec.dram_latency


def _compare_energy(elements: int, pattern: NM, spec: SatSpec) -> float:
    """Each value is compared with every held one."""
    return elements * pattern.n * energy_pj("compare", spec.node_nm)


def _operator_time(
    engine: str,
    mapping: str,
    time: EngineTime,
    predicted: int,
    energy: dict[str, float],
    *,
    pattern: str = "dense",
    macs_dense: int = 0,
    macs_effective: int = 0,
    beside: tuple[EngineShare, ...] = (),
) -> OperatorTime:
    return OperatorTime(
        engine=engine,
        mapping=mapping,
        pattern=pattern,
        cycles=time.total_cycles,
        busy_cycles=time.busy_cycles,
        stall_cycles=time.stall_cycles,
        dram_cycles=time.dram_cycles,
        predicted_cycles=predicted,
        macs_dense=macs_dense,
        macs_effective=macs_effective,
        bytes=time.bytes,
        energy_pj=energy,
        beside=beside,
    )
