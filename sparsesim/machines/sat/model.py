"""The SAT machine as a whole: every operator of a trace on its array or its vector unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparsesim.energy import energy_pj, moved_energy
from sparsesim.errors import InputError
from sparsesim.machines.operator_time import OperatorTime
from sparsesim.machines.sat.gemm import EngineTime, simulate_gemm
from sparsesim.machines.sat.problem import Problem, problem_of
from sparsesim.machines.sat.schedule import Schedule, choose_schedule
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.vector_unit import predicted_vector_cycles, simulate_vector
from sparsesim.trace import Elementwise, Gemm, Reduction, Trace

ENGINES = ("array", "vector")


def describe(spec: SatSpec) -> dict[str, Any]:
    """Peak rates and sizes of a machine, for results and rooflines."""
    return {
        "pes": spec.pes,
        "peak_macs_per_cycle": spec.pes,
        "dram_bytes_per_cycle": spec.dram_bytes_per_clock,
        "on_chip_bytes": spec.act_buffer_bytes
        + spec.weight_buffer_bytes
        + spec.out_buffer_bytes
        + spec.vector_buffer_bytes,
    }


def simulate_operators(
    trace: Trace,
    spec: SatSpec,
    fidelity: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[OperatorTime]:
    """Simulate each operator of `trace` alone, in trace order.

    GEMMs of the same shape and pattern take the same time and are simulated once.

    Raises:
        InputError: an operator or pattern this machine has no hardware for.
    """
    tensors = trace.tensors
    seen: dict[Problem, tuple[Schedule, EngineTime]] = {}
    times = []
    for number, operator in enumerate(trace.operators):
        if isinstance(operator, Gemm):
            problem = problem_of(operator, spec)
            if problem not in seen:
                schedule = choose_schedule(problem, spec, operator.name)
                seen[problem] = schedule, simulate_gemm(problem, schedule, spec, fidelity)
            times.append(_gemm_time(operator, problem, *seen[problem], spec))
        elif isinstance(operator, Elementwise | Reduction):
            time = simulate_vector(operator, tensors, spec, fidelity)
            times.append(_vector_time(operator, time, spec))
        else:
            raise InputError(
                f"operator {operator.name!r}: kind {operator.kind!r} does not run on machine "
                "family 'sat' (it runs gemm, elementwise, reduction)"
            )
        if progress is not None:
            progress(number + 1, len(trace.operators))
    return times


def _gemm_time(
    gemm: Gemm, problem: Problem, schedule: Schedule, time: EngineTime, spec: SatSpec
) -> OperatorTime:
    macs = problem.macs_effective
    energy = moved_energy(time.bytes, spec.node_nm)
    energy["multiply"] = macs * energy_pj("fp16_multiply", spec.node_nm)
    energy["add"] = macs * energy_pj("fp32_add", spec.node_nm)
    used = f"{problem.kept}:{problem.group}" if problem.sparse else "dense"
    return OperatorTime(
        engine="array",
        mapping=schedule.mapping,
        pattern=used,
        cycles=time.total_cycles,
        busy_cycles=time.busy_cycles,
        stall_cycles=time.stall_cycles,
        dram_cycles=time.dram_cycles,
        predicted_cycles=schedule.predicted_cycles,
        macs_dense=gemm.macs_dense,
        macs_effective=macs,
        bytes=time.bytes,
        energy_pj=energy,
    )


def _vector_time(
    operator: Elementwise | Reduction, time: EngineTime, spec: SatSpec
) -> OperatorTime:
    cost = spec.vector_functions.get(operator.function, spec.vector_functions["default"])
    energy = moved_energy(time.bytes, spec.node_nm)
    operations = operator.elements * cost.operations
    energy["vector"] = operations * energy_pj("vector_operation", spec.node_nm)
    return OperatorTime(
        engine="vector",
        mapping=operator.function,
        pattern="dense",
        cycles=time.total_cycles,
        busy_cycles=time.busy_cycles,
        stall_cycles=time.stall_cycles,
        dram_cycles=time.dram_cycles,
        predicted_cycles=predicted_vector_cycles(time, spec),
        macs_dense=0,
        macs_effective=0,
        bytes=time.bytes,
        energy_pj=energy,
    )
