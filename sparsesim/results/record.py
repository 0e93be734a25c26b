"""The result of one run: per operator and per engine, with the accounting identity enforced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sparsesim.errors import CheckError

SCHEMA_VERSION = 1
Fidelity = Literal["fast", "stepped"]

#: Causes of a clock without useful work, in the fixed order of blame.
STALL_CAUSES = (
    "dependency",
    "input",
    "output",
    "bank_conflict",
    "memory",
    "imbalance",
    "fill_drain",
    "idle",
)

#: `<level>_<stream>` of the byte counts; metadata (indices) in columns of its own.
BYTE_STREAMS = (
    "dram_a_read",
    "dram_b_read",
    "dram_metadata_read",
    "dram_output_write",
    "dram_metadata_write",
    "dram_output_read",
    "scratchpad_fill_write",
    "scratchpad_a_read",
    "scratchpad_b_read",
    "scratchpad_metadata_read",
    "scratchpad_output_read",
    "scratchpad_output_write",
    "scratchpad_access",
    "register_read",
    "register_write",
)

#: Components of the energy.
ENERGY_COMPONENTS = (
    "multiply",
    "add",
    "register",
    "scratchpad",
    "dram",
    "vector",
    "sort",
    "instruction",
)


@dataclass(frozen=True)
class OperatorResult:
    """One operator on its engine. Cycles are clocks of the array, counted from 0.

    `end_cycle` - `start_cycle` = `busy_cycles` + the sum of `stall_cycles`.
    Bytes are counted at the level named by their key, energies in pJ.
    """

    operator: str
    layer: str
    phase: str
    kind: str
    engine: str
    mapping: str
    pattern: str
    start_cycle: int
    end_cycle: int
    busy_cycles: int
    stall_cycles: Mapping[str, int]
    predicted_cycles: int
    macs_dense: int
    macs_effective: int
    bytes: Mapping[str, int]
    energy_pj: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cycles(self) -> int:
        return self.end_cycle - self.start_cycle

    @property
    def is_share(self) -> bool:
        """Whether this is another engine's share of an operator (``operator@engine``)."""
        return self.operator.endswith(f"@{self.engine}")

    @property
    def dram_bytes(self) -> int:
        return sum(count for stream, count in self.bytes.items() if stream.startswith("dram_"))


@dataclass(frozen=True)
class EngineResult:
    """Clocks of one engine over the whole run; busy + stalls = total cycles."""

    busy_cycles: int
    stall_cycles: Mapping[str, int]

    @property
    def cycles(self) -> int:
        return self.busy_cycles + sum(self.stall_cycles.values())


@dataclass(frozen=True)
class RunResult:
    """Everything a run found out.

    Attributes:
        machine: name, family, sha256, parameters, statuses, peak rates.
        trace: name, sha256, provenance.
        operators: one per operator, in order of start.
        engines: by engine name.
        padding: what padding masks to the machine's pattern cost, where that was asked for.
    """

    machine: Mapping[str, Any]
    trace: Mapping[str, Any]
    fidelity: Fidelity
    seed: int
    clock_hz: float
    total_cycles: int
    operators: Sequence[OperatorResult]
    engines: Mapping[str, EngineResult]
    check: Mapping[str, Any] | None = field(default=None)
    padding: Mapping[str, Any] | None = field(default=None)

    @property
    def seconds(self) -> float:
        return self.total_cycles / self.clock_hz

    @property
    def energy_j(self) -> float:
        return 1e-12 * sum(sum(op.energy_pj.values()) for op in self.operators)

    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`; its keys are a contract."""
        return {
            "schema_version": SCHEMA_VERSION,
            "machine": dict(self.machine),
            "trace": dict(self.trace),
            "fidelity": self.fidelity,
            "seed": self.seed,
            "clock_hz": self.clock_hz,
            "total_cycles": self.total_cycles,
            "seconds": self.seconds,
            "energy_j": self.energy_j,
            "macs_dense": sum(op.macs_dense for op in self.operators),
            "macs_effective": sum(op.macs_effective for op in self.operators),
            "dram_bytes": sum(op.dram_bytes for op in self.operators),
            "engines": {
                name: {
                    "busy_cycles": engine.busy_cycles,
                    "stall_cycles": {cause: engine.stall_cycles[cause] for cause in STALL_CAUSES},
                }
                for name, engine in self.engines.items()
            },
        }

    def check_accounting(self) -> None:
        """Enforce that the parts add up to the whole.

        Busy + stalls = cycles for every operator and engine, with each cause named and no count
        negative; an operator lies within the run; an engine is busy as long as its operators are.

        Raises:
            CheckError: names the first operator or engine whose parts do not add up.
        """
        busy = dict.fromkeys(self.engines, 0)
        for op in self.operators:
            where = f"operator {op.operator!r}"
            _check_parts(where, op.busy_cycles, op.stall_cycles, op.cycles)
            if not 0 <= op.start_cycle <= op.end_cycle <= self.total_cycles:
                raise CheckError(
                    f"accounting: {where}: from {op.start_cycle} to {op.end_cycle}, "
                    f"the run has {self.total_cycles} cycles"
                )
            if op.engine not in busy:
                raise CheckError(f"accounting: {where}: there is no engine {op.engine!r}")
            busy[op.engine] += op.busy_cycles
        for name, engine in self.engines.items():
            where = f"engine {name!r}"
            _check_parts(where, engine.busy_cycles, engine.stall_cycles, self.total_cycles)
            if engine.busy_cycles != busy[name]:
                raise CheckError(
                    f"accounting: {where}: {engine.busy_cycles} busy cycles, "
                    f"its operators have {busy[name]}"
                )


def _check_parts(where: str, busy: int, stalls: Mapping[str, int], cycles: int) -> None:
    if set(stalls) != set(STALL_CAUSES):
        raise CheckError(f"accounting: {where}: stall causes are {', '.join(stalls) or 'missing'}")
    negative = [name for name, count in {"busy": busy, **stalls}.items() if count < 0]
    if negative:
        raise CheckError(f"accounting: {where}: negative cycles ({', '.join(negative)})")
    parts = busy + sum(stalls.values())
    if parts != cycles:
        raise CheckError(f"accounting: {where}: busy + stalls = {parts}, cycles = {cycles}")
