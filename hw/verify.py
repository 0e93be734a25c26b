"""Proof by comparison: the hardware of a unit and its models agree in every clock and every bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hw.cosim.trace_words import Trace
from hw.units import Unit, make_unit, resolve_machine, unit_names
from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine

SimulatorName = Literal["verilator", "lanes", "amaranth"]
#: Cases that are simulated in one call: bounds memory, not the number of cases.
_BATCH = 64


def verify(
    machine: str | Machine[Any],
    *,
    unit: str | None = None,
    cases: int = 200,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    simulator: SimulatorName | None = None,
    whole: bool = False,
) -> dict[str, dict[str, Any]]:
    """Compare the RTL of a machine's units with their stepped cores and references.

    Every case is a seeded stimulus from reset (the hardware's own reset precedes each); every
    output port is compared in every clock.

    Parameters
    ----------
    machine : name, YAML file, or loaded machine
    unit : one unit; None means all units of the machine's family
    cases : stimuli per unit
    seed : with the case number, seeds the stimulus
    overrides : machine keys to set
    progress : called with (cases done, cases in all) of the current unit
    simulator : ``verilator`` and ``lanes`` run the emitted Verilog, ``amaranth`` the description
        itself; None takes Verilator where it and a C++ compiler are installed, but ``lanes`` for a
        `whole` array
    whole : also what is too large for the other simulators is compared at its full size

    Returns
    -------
    dict
        Per unit: ``cases``, ``cycles_compared``, ``mismatches`` (clocks and ports in which not
        all agree), ``simulator`` (with its version), ``parameters`` (of what was compared: a unit
        may be too large at its full size) and ``first_mismatch``: None, or its case,
        clock, port and the value of each model.

    Raises
    ------
    InputError
        Unknown machine, key or unit, a number out of range, a simulator that is not installed.
    """
    if cases < 1:
        raise InputError(f"cases: must be at least 1 (got {cases})")
    if seed < 0:
        raise InputError(f"seed: must not be negative (got {seed})")
    loaded = resolve_machine(machine, overrides)
    names = unit_names(loaded) if unit is None else [unit]
    units = {name: make_unit(loaded, name) for name in names}
    return {
        name: _verify_unit(made, name, cases, seed, progress, simulator, whole)
        for name, made in units.items()
    }


def _verify_unit(
    unit: Unit,
    name: str,
    cases: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
    simulator: SimulatorName | None,
    whole: bool,
) -> dict[str, Any]:
    if hasattr(unit, "verified"):
        if not whole:
            unit = unit.verified()
        elif simulator is None:
            simulator = "lanes"
    models = unit.models()
    cycles = mismatches = 0
    first: dict[str, Any] | None = None
    with _simulation(unit, name, simulator) as simulation:
        for start in range(0, cases, _BATCH):
            numbers = range(start, min(start + _BATCH, cases))
            stimuli = [unit.stimulus(seed, case) for case in numbers]
            expected = [{key: model(made) for key, model in models.items()} for made in stimuli]
            rtl = _simulate(simulation, stimuli, seed + start, next(iter(expected[0].values())))
            for case, made, seen in zip(numbers, expected, rtl, strict=True):
                everyone = {"rtl": seen, **made}
                cycles += len(next(iter(seen.values())))
                count, found = compare(everyone)
                mismatches += count
                if found and first is None:
                    first = {"case": case, **found}
                if progress:
                    progress(case + 1, cases)
        used = simulation.name
    return {
        "cases": cases,
        "cycles_compared": cycles,
        "mismatches": mismatches,
        "simulator": used,
        "parameters": unit.description()["parameters"],
        "first_mismatch": first,
    }


def compare(traces: Mapping[str, Trace]) -> tuple[int, dict[str, Any] | None]:
    """Count the (clock, port) pairs in which not all traces agree, and show the earliest.

    Raises:
        ValueError: the traces have other ports or lengths than the first.
    """
    kinds = list(traces)
    ports = list(traces[kinds[0]])
    if any(set(trace) != set(ports) for trace in traces.values()):
        raise ValueError(f"{', '.join(kinds)} have different ports")
    mismatches = 0
    earliest: tuple[int, str] | None = None
    for port in ports:
        first, *others = (_bits(trace[port]) for trace in traces.values())
        if any(other.shape != first.shape for other in others):
            raise ValueError(f"{port}: {', '.join(kinds)} have different shapes")
        wrong = np.zeros(len(first), dtype=np.bool_)
        for other in others:
            differs = other != first
            wrong |= differs.reshape(len(first), -1).any(axis=1)
        mismatches += int(wrong.sum())
        if wrong.any() and (earliest is None or wrong.argmax() < earliest[0]):
            earliest = (int(wrong.argmax()), port)
    if earliest is None:
        return mismatches, None
    clock, port = earliest
    values = {kind: _bits(trace[port])[clock].tolist() for kind, trace in traces.items()}
    return mismatches, {"clock": clock, "port": port, "values": values}


def _bits(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The values of a port as integers, whatever type a model keeps them in."""
    return np.asarray(values).astype(np.int64)


def _simulation(
    unit: Unit, name: str, simulator: SimulatorName | None
) -> AbstractContextManager[Any]:
    """The unit in a simulator, ready to run rows of words."""
    from hw.cosim import verilator
    from hw.cosim.lanes import simulation as lanes

    missing = lanes.missing_tool() if simulator == "lanes" else verilator.missing_tool()
    if simulator in ("verilator", "lanes") and missing:
        raise InputError(f"simulator {simulator}: {missing} is not installed")
    if simulator == "amaranth" or missing:
        from hw.cosim.amaranth_simulation import AmaranthSimulation

        return nullcontext(AmaranthSimulation(elaborable(unit)))
    from hw.component_ports import port_values
    from hw.verilog import verilog_of

    component = unit.component()
    compiled = lanes.LaneSimulation if simulator == "lanes" else verilator.VerilatorSimulation
    return compiled(verilog_of(component, name), name, list(port_values(component)))


def elaborable(unit: Unit) -> Any:
    """The unit's component without instances, which Amaranth's simulator does not know."""
    component = unit.component()
    if not getattr(component, "parts", None):
        return component
    return type(component)(component.spec, instances=False)


def _simulate(simulation: Any, stimuli: Sequence[Trace], seed: int, like: Trace) -> list[Trace]:
    """Run the stimuli in one go with a reset clock before each, and cut the responses apart.

    Whatever stands on the other inputs during the reset clock must not matter: it is random.
    """
    rng = np.random.default_rng(seed)
    pieces = []
    for stimulus in stimuli:
        clocks = len(next(iter(stimulus.values())))
        reset = {port: values[rng.integers(clocks, size=1)] for port, values in stimulus.items()}
        pieces.append(simulation.inputs.pack({**reset, "rst": np.ones(1, np.uint32)}, 1))
        pieces.append(simulation.inputs.pack(stimulus, clocks))
    rows = simulation.run(np.concatenate(pieces))
    elements = {port: values.dtype for port, values in like.items() if values.ndim == 2}
    responses = []
    start = 0
    for stimulus in stimuli:
        clocks = len(next(iter(stimulus.values())))
        start += 1
        responses.append(simulation.outputs.unpack(rows[start : start + clocks], elements))
        start += clocks
    return responses
