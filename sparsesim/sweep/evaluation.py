"""What happens to one point: a worker simulates it and returns one row of numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import sparsesim
from sparsesim import trace as traces
from sparsesim.errors import InputError, SparseSimError
from sparsesim.machines.parameters import Machine
from sparsesim.results import Fidelity, RunResult
from sparsesim.trace import Trace

Simulate = Callable[..., RunResult]

#: Result columns, in the order of the table. Bytes, clocks, Hz, seconds, joules, MACs.
RESULT_COLUMNS: dict[str, type[int] | type[float]] = {
    "pes": int,
    "on_chip_bytes": int,
    "clock_hz": float,
    "total_cycles": int,
    "seconds": float,
    "energy_j": float,
    "macs_dense": int,
    "macs_effective": int,
    "dram_bytes": int,
    "utilisation": float,
}


@dataclass(frozen=True)
class Point:
    """One simulation of the sweep.

    Attributes:
        parameters: the choices that made it, by column name.
        trace_path: where a worker finds the trace.
        trace_prune, trace_method: from the provenance of the trace, empty when it has none.
        area: synthesized area by column of the table; no part of the simulation or its identity.
    """

    parameters: dict[str, Any]
    machine: Machine[Any]
    trace_path: Path
    trace_name: str
    trace_sha256: str
    trace_prune: str
    trace_method: str
    fidelity: Fidelity
    seed: int
    area: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that determines the result."""
        return {
            "machine_name": self.machine.name,
            "machine_sha256": self.machine.sha256(),
            "trace_sha256": self.trace_sha256,
            "fidelity": self.fidelity,
            "seed": self.seed,
            "simulator_version": sparsesim.__version__,
        }

    @cached_property
    def point_id(self) -> str:
        """Stable hash of `identity`."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Evaluation:
    """The values of `RESULT_COLUMNS`, or the one-line reason why there are none."""

    values: dict[str, Any] | None = None
    error: str | None = None


def evaluate(point: Point, simulate: Simulate | None) -> Evaluation:
    """Simulate `point` with `simulate` (default: `sparsesim.simulate.run`); never raises."""
    try:
        trace = _load(point.trace_path, point.trace_sha256)
        run = simulate or _simulator()
        result = run(trace, point.machine, fidelity=point.fidelity, seed=point.seed)
        result.check_accounting()
        return Evaluation(values=measured(result))
    except Exception as error:
        return Evaluation(error=one_line_error(error))


def measured(result: RunResult) -> dict[str, Any]:
    """The values of `RESULT_COLUMNS`.

    Utilisation = effective MACs / (peak MACs per cycle x cycles), where the peak is PEs x MACs
    per PE and clock.
    """
    values: dict[str, Any] = {**result.machine, **result.summary()}
    slots = result.machine["peak_macs_per_cycle"] * result.total_cycles
    values["utilisation"] = values["macs_effective"] / slots if slots else 0.0
    return {name: kind(values[name]) for name, kind in RESULT_COLUMNS.items()}


def one_line_error(error: BaseException) -> str:
    """The message of a user's error; with its type when it is an unexpected one."""
    text = " ".join(str(error).split())
    if isinstance(error, SparseSimError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@lru_cache(maxsize=2)
def _load(path: Path, sha256: str) -> Trace:
    """Read a trace; the points of one trace follow each other, so it stays in memory."""
    trace = traces.load(path)
    if trace.sha256() != sha256:
        raise InputError(f"{path}: the trace was changed while the sweep ran")
    return trace


@lru_cache(maxsize=1)
def _simulator() -> Simulate:
    """The real simulator, on one thread: the sweep already keeps every core busy."""
    import importlib

    import numba

    numba.set_num_threads(1)
    run: Simulate = importlib.import_module("sparsesim.simulate").run
    return run
