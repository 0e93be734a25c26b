"""Simulators and extractors with known answers, importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine
from sparsesim.results import (
    BYTE_STREAMS,
    ENERGY_COMPONENTS,
    STALL_CAUSES,
    EngineResult,
    OperatorResult,
    RunResult,
)
from sparsesim.trace import Gemm, Operand, Tensor, Trace, save
from sparsesim.trace.trace import Manifest


def gemm_trace(name: str = "net", m: int = 64, **provenance: str) -> Trace:
    """One dense GEMM of m x 32 times 32 x 16."""
    shapes = {"x": (m, 32), "w": (32, 16), "y": (m, 16)}
    return Trace(
        Manifest(
            name=name,
            provenance=provenance,
            tensors=tuple(
                Tensor(name=key, shape=shape, dtype="float32", role="activation")
                for key, shape in shapes.items()
            ),
            operators=(
                Gemm(
                    name="g",
                    layer="g",
                    phase="inference",
                    m=m,
                    n=16,
                    k=32,
                    a=Operand(tensor="x"),
                    b=Operand(tensor="w"),
                    output="y",
                ),
            ),
        )
    )


def save_trace(path: Path, m: int = 64, **provenance: str) -> Path:
    save(gemm_trace(path.stem, m, **provenance), path)
    return path


def simulate(trace: Trace, machine: Machine[Any], *, fidelity: str, seed: int) -> RunResult:
    """macs / PEs busy clocks and 100 clocks of waiting for memory."""
    spec = machine.spec
    macs = sum(op.macs_dense for op in trace.operators if isinstance(op, Gemm))
    busy = -(-macs // spec.pes)
    stalls = dict.fromkeys(STALL_CAUSES, 0) | {"memory": 100}
    operator = OperatorResult(
        operator="g",
        layer="g",
        phase="inference",
        kind="gemm",
        engine="array",
        mapping="ws",
        pattern="dense",
        start_cycle=0,
        end_cycle=busy + 100,
        busy_cycles=busy,
        stall_cycles=stalls,
        predicted_cycles=busy + 100,
        macs_dense=macs,
        macs_effective=macs,
        bytes=dict.fromkeys(BYTE_STREAMS, 8),
        energy_pj=dict.fromkeys(ENERGY_COMPONENTS, 0.5),
    )
    return RunResult(
        machine={
            "name": machine.name,
            "family": machine.family,
            "sha256": machine.sha256(),
            "pes": spec.pes,
            "peak_macs_per_cycle": spec.pes,
            "dram_bytes_per_cycle": spec.dram_bytes_per_clock,
            "on_chip_bytes": spec.act_buffer_bytes,
            "parameters": {},
            "statuses": {},
        },
        trace={"name": trace.name, "sha256": trace.sha256(), "provenance": {}},
        fidelity="fast" if fidelity == "fast" else "stepped",
        seed=seed,
        clock_hz=spec.clock_hz,
        total_cycles=busy + 100,
        operators=[operator],
        engines={"array": EngineResult(busy, stalls)},
    )


def counted(
    trace: Trace, machine: Machine[Any], *, log: Path, seconds: float = 0.0, **options: Any
) -> RunResult:
    """`simulate` after `seconds`; every call appends "rows process" to the file `log`."""
    with log.open("a") as file:
        file.write(f"{machine.spec.rows} {os.getpid()}\n")
    time.sleep(seconds)
    return simulate(trace, machine, **options)


def killed(
    trace: Trace,
    machine: Machine[Any],
    *,
    rows: int,
    log: Path,
    deaths: int = 1_000,
    **options: Any,
) -> RunResult:
    """`counted`, but the first `deaths` calls with `rows` rows kill their worker."""
    result = counted(trace, machine, log=log, **options)
    if machine.spec.rows == rows and calls(log).count(rows) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def refusing(trace: Trace, machine: Machine[Any], *, rows: int, **options: Any) -> RunResult:
    """`simulate`, but `rows` rows are a user's error and `rows` + 1 a defect."""
    if machine.spec.rows == rows:
        raise InputError("operator 'g': does not\nfit the buffer")
    if machine.spec.rows == rows + 1:
        raise ZeroDivisionError("division by zero")
    return simulate(trace, machine, **options)


def calls(log: Path) -> list[int]:
    """The `rows` of every call of `counted` so far."""
    return [int(line.split()[0]) for line in log.read_text().splitlines()] if log.exists() else []


class Extractor:
    """Counts its calls; a source "missing" does not exist."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(
        self, source: str, *, prune: str, method: str, phase: str, batch: int, seed: int
    ) -> Trace:
        self.calls.append((source, {"prune": prune, "batch": batch, "seed": seed}))
        if source == "missing":
            raise InputError("unknown source 'missing'")
        return gemm_trace("extracted", batch, prune=prune, method=method, phase=phase)
