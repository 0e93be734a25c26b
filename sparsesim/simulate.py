"""Simulate a trace on a machine: operators alone on the cycle cores, then together in time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sparsesim
from sparsesim.errors import InputError
from sparsesim.machines.operator_time import OperatorTime
from sparsesim.machines.parameters import Machine
from sparsesim.machines.registry import FAMILIES, load_machine
from sparsesim.results.record import (
    STALL_CAUSES,
    EngineResult,
    Fidelity,
    OperatorResult,
    RunResult,
)
from sparsesim.timeline import Job, JobTime, run_jobs
from sparsesim.trace import Trace, load

FIDELITIES = ("fast", "stepped")


def run(
    trace: Trace | Path | str,
    machine: Machine[Any] | Path | str,
    *,
    overrides: dict[str, Any] | None = None,
    fidelity: Fidelity = "fast",
    check: bool = False,
    pad: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Simulate `trace` on `machine`.

    Args:
        trace: a trace, or the file of one.
        machine: a machine, the name of one, or its YAML file.
        overrides: machine parameters to change; only with a name or file.
        fidelity: ``stepped`` advances clock by clock, ``fast`` gives the same result sooner.
        check: also compute values and compare them with NumPy.
        pad: run masks that break the machine's pattern at the cost of padding them; the cost is
            `RunResult.padding`.
        seed: of the values used by `check`.
        progress: called with (operators done, operators) as the simulation goes on.

    Raises:
        InputError: something about trace, machine or their combination is wrong.
        CheckError: `check` found a difference, or the accounting does not add up.
    """
    if fidelity not in FIDELITIES:
        raise InputError(f"fidelity: {fidelity!r}, allowed: {', '.join(FIDELITIES)}")
    if not isinstance(trace, Trace):
        trace = load(trace)
    if not isinstance(machine, Machine):
        machine = load_machine(str(machine), overrides)
    elif overrides:
        raise InputError("overrides need a machine name or file, not a loaded machine")
    model = importlib.import_module(f"{FAMILIES[machine.family]}.model")
    padding = None
    if hasattr(model, "padding"):
        padding = model.padding(trace, machine.spec, pad)
    elif pad:
        raise InputError(f"--pad: machine family {machine.family!r} has no pattern to pad to")
    times = model.simulate_operators(trace, machine.spec, fidelity, progress)
    checked = None
    if check:
        checker = importlib.import_module(f"{FAMILIES[machine.family]}.check")
        checked = checker.check_operators(trace, machine.spec, seed, progress)
    result = _result(trace, machine, model, times, fidelity, seed, checked)
    if padding is not None:
        result = replace(result, padding=padding)
    result.check_accounting()
    return result


def _result(
    trace: Trace,
    machine: Machine[Any],
    model: Any,
    times: Sequence[OperatorTime],
    fidelity: Fidelity,
    seed: int,
    checked: dict[str, Any] | None,
) -> RunResult:
    # A family may group operators and add some of its own; else they run as the trace has them.
    steps = model.lower(trace, machine.spec) if hasattr(model, "lower") else trace.operators
    placed = run_jobs(
        [
            Job(
                step.name,
                time.engine,
                step.deps,
                time.cycles,
                time.dram_cycles,
                tuple(share.engine for share in time.beside),
                time.follows,
                time.parts,
                time.ahead,
            )
            for step, time in zip(steps, times, strict=True)
        ]
    )
    operators = [
        row
        for step, time in zip(steps, times, strict=True)
        for row in _operator_results(step, time, placed[step.name])
    ]
    total = max(op.end_cycle for op in operators)
    return RunResult(
        machine={
            "name": machine.name,
            "family": machine.family,
            "sha256": machine.sha256(),
            "simulator_version": sparsesim.__version__,
            "parameters": machine.spec.model_dump(mode="json"),
            "statuses": {key: entry.status for key, entry in machine.provenance.items()},
            **model.describe(machine.spec),
        },
        trace={
            "name": trace.name,
            "sha256": trace.sha256(),
            "provenance": trace.manifest.provenance,
        },
        fidelity=fidelity,
        seed=seed,
        clock_hz=machine.spec.clock_hz,
        total_cycles=total,
        operators=sorted(operators, key=lambda op: (op.start_cycle, op.end_cycle)),
        engines={
            engine: _engine_result([op for op in operators if op.engine == engine], total)
            for engine in engine_names(model, machine.spec)
        },
        check=checked,
    )


def engine_names(model: Any, spec: Any) -> tuple[str, ...]:
    """Engines of a machine: `ENGINES` of its model, or `engines(spec)` where the spec decides."""
    return tuple(model.engines(spec) if hasattr(model, "engines") else model.ENGINES)


def _operator_results(step: Any, time: OperatorTime, placed: JobTime) -> Iterator[OperatorResult]:
    """A row for the operator, and one for each further engine that it held."""
    # What following another operator, and sharing the DRAM with another engine, cost.
    waited = {
        "dependency": placed.waited,
        "memory": placed.end - placed.start - time.cycles - placed.waited,
    }
    whole = OperatorResult(
        operator=step.name,
        layer=step.layer,
        phase=step.phase,
        kind=step.kind,
        engine=time.engine,
        mapping=time.mapping,
        pattern=time.pattern,
        start_cycle=placed.start,
        end_cycle=placed.end,
        busy_cycles=time.busy_cycles,
        stall_cycles=_more(time.stall_cycles, waited),
        predicted_cycles=time.predicted_cycles,
        macs_dense=time.macs_dense,
        macs_effective=time.macs_effective,
        bytes=time.bytes,
        energy_pj=time.energy_pj,
        details=time.details,
    )
    yield whole
    for share in time.beside:
        yield replace(
            whole,
            operator=f"{step.name}@{share.engine}",
            engine=share.engine,
            mapping=share.mapping,
            busy_cycles=share.busy_cycles,
            stall_cycles=_more(share.stall_cycles, waited),
            macs_dense=0,
            macs_effective=0,
            bytes={},
            details={},
            energy_pj=share.energy_pj,
        )


def _more(stalls: dict[str, int], waited: dict[str, int]) -> dict[str, int]:
    return stalls | {cause: stalls[cause] + clocks for cause, clocks in waited.items()}


def _engine_result(operators: Sequence[OperatorResult], total: int) -> EngineResult:
    stalls = {cause: sum(op.stall_cycles[cause] for op in operators) for cause in STALL_CAUSES}
    stalls["idle"] += total - sum(op.cycles for op in operators)
    return EngineResult(sum(op.busy_cycles for op in operators), stalls)
