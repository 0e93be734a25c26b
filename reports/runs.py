"""Runs as a report sees them: result folders checked, labelled and paired with their baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from reports.labels import is_dense, network_label, variant_label
from sparsesim.errors import InputError
from sparsesim.results import BYTE_STREAMS, ENERGY_COMPONENTS, STALL_CAUSES, read_folder
from sparsesim.validation import checked

if TYPE_CHECKING:
    import pandas as pd

#: Operators that multiply; everything else is element-wise work.
MAC_KINDS = ("gemm", "spgemm")
STALL_COLUMNS = tuple(f"stall_{cause}_cycles" for cause in STALL_CAUSES)
DRAM_COLUMNS = tuple(f"{stream}_bytes" for stream in BYTE_STREAMS if stream.startswith("dram_"))
ENERGY_COLUMNS = tuple(f"energy_{part}_pj" for part in ENERGY_COMPONENTS)
_TEXT_COLUMNS = ("operator", "layer", "phase", "kind", "engine", "mapping", "pattern")
_NUMBER_COLUMNS = (
    "start_cycle",
    "end_cycle",
    "cycles",
    "busy_cycles",
    *STALL_COLUMNS,
    "macs_dense",
    "macs_effective",
    *DRAM_COLUMNS,
    *ENERGY_COLUMNS,
)


class _Part(BaseModel):
    # A later simulator may add keys; those a report reads must be right.
    model_config = ConfigDict(frozen=True, extra="ignore")


class MachineSummary(_Part):
    """The machine of a run."""

    name: str
    family: str
    sha256: str
    simulator_version: str
    parameters: dict[str, Any]
    statuses: dict[str, str]
    pes: int = Field(gt=0)
    peak_macs_per_cycle: float = Field(gt=0)
    dram_bytes_per_cycle: float = Field(gt=0)
    on_chip_bytes: int = Field(ge=0)


class TraceSummary(_Part):
    """The trace of a run."""

    name: str
    sha256: str
    provenance: dict[str, Any]


class EngineSummary(_Part):
    """Clocks of one engine."""

    busy_cycles: int = Field(ge=0)
    stall_cycles: dict[str, int]


class Summary(_Part):
    """The part of `summary.json` that a report reads."""

    machine: MachineSummary
    trace: TraceSummary
    fidelity: str
    seed: int
    clock_hz: float = Field(gt=0)
    total_cycles: int = Field(gt=0)
    seconds: float = Field(gt=0)
    energy_j: float = Field(ge=0)
    macs_dense: int = Field(ge=0)
    macs_effective: int = Field(ge=0)
    dram_bytes: int = Field(ge=0)
    engines: dict[str, EngineSummary]


class Check(_Part):
    """The part of `check.json` that a report reads: passes compared and what was found equal."""

    values: str
    clocks: str
    passes_checked: int = Field(ge=0)
    passes: int = Field(ge=0)


@dataclass(frozen=True)
class Run:
    """One result folder.

    Attributes:
        label: short name, unique among the runs of one report.
        operators: `operators.csv`, one row per operator.
        check: what `--check` compared, or None if the run was not checked.
        details: by operator, what the machine family tells beyond the common record.
    """

    path: Path
    label: str
    summary: Summary
    operators: pd.DataFrame
    check: Check | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def machine(self) -> MachineSummary:
        return self.summary.machine

    @property
    def provenance(self) -> dict[str, Any]:
        return self.summary.trace.provenance

    def stated(self, key: str) -> str:
        """A provenance entry as text, empty where the trace does not state it."""
        value = self.provenance.get(key)
        return "" if value is None else str(value)

    @property
    def source(self) -> str:
        """What makes two traces traces of one network."""
        return self.stated("source") or self.summary.trace.name

    @property
    def network(self) -> str:
        return network_label(self.source)

    @property
    def variant(self) -> str:
        """How the network was pruned and trained, such as ``BDWP 2:8``."""
        return variant_label(self.stated("prune"), self.stated("method"), self.stated("phase"))

    @property
    def is_dense(self) -> bool:
        return is_dense(self.stated("prune"), self.stated("method"))

    @property
    def work(self) -> tuple[str, str, str]:
        """Network, phase and batch: runs that agree in these do the same work."""
        return self.source, self.stated("phase"), self.stated("batch")

    @property
    def group(self) -> tuple[str, str, str, str, str]:
        """The work and the machine: runs that agree in these may be compared as a speedup."""
        return (*self.work, self.machine.name, self.machine.sha256)

    @property
    def macs(self) -> pd.DataFrame:
        """The operators that multiply."""
        return self.operators[self.operators["kind"].isin(MAC_KINDS)]

    @property
    def utilisation(self) -> float:
        """Effective MACs / (PEs x MACs per PE and clock x cycles)."""
        peak = self.machine.peak_macs_per_cycle * self.summary.total_cycles
        return self.summary.macs_effective / peak

    @property
    def operation_bound(self) -> float:
        """Dense over effective MACs: the speedup if nothing but MACs took time."""
        if not self.summary.macs_effective:
            return 1.0
        return self.summary.macs_dense / self.summary.macs_effective


@dataclass(frozen=True)
class Pair:
    """A run and the dense run of the same network, phase, batch and machine."""

    dense: Run
    sparse: Run

    @property
    def speedup(self) -> float:
        """Ratio of seconds."""
        return self.dense.summary.seconds / self.sparse.summary.seconds

    @property
    def operation_bound(self) -> float:
        """Ratio of the effective MACs of the two runs."""
        if not self.sparse.summary.macs_effective:
            return 1.0
        return self.dense.summary.macs_effective / self.sparse.summary.macs_effective


def load_run(path: Path) -> Run:
    """Read and check one result folder; its label is network and variant.

    Raises:
        InputError: not a result folder, or damaged: a field missing or out of range, an operator
            or engine whose busy and stall cycles do not add up, or rows that do not add up to
            the summary.
    """
    stored = read_folder(path)
    summary = checked(Summary, stored.summary, f"{path}/summary.json")
    assert isinstance(summary, Summary)
    _check_engines(path, summary)
    _check_operators(path, stored.operators, summary)
    check = None
    if stored.check is not None:
        check = checked(Check, stored.check, f"{path}/check.json")
        assert isinstance(check, Check)
    run = Run(Path(path), "", summary, stored.operators, check, stored.details)
    return replace(run, label=f"{run.network} {run.variant}")


def _check_engines(path: Path, summary: Summary) -> None:
    for name, engine in summary.engines.items():
        parts = engine.busy_cycles + sum(engine.stall_cycles.values())
        if parts != summary.total_cycles:
            raise InputError(
                f"{path}/summary.json: engine {name!r}: busy and stall cycles add up to {parts}, "
                f"total_cycles is {summary.total_cycles}"
            )


def _check_operators(path: Path, table: pd.DataFrame, summary: Summary) -> None:
    where = f"{path}/operators.csv"
    for column in (*_TEXT_COLUMNS, *_NUMBER_COLUMNS):
        if column not in table.columns:
            raise InputError(f"{where}: column {column!r} is missing")
    for column in _NUMBER_COLUMNS:
        if table[column].dtype.kind not in "iuf" or not (table[column] >= 0).all():
            raise InputError(f"{where}: column {column!r} must hold numbers of at least 0")
    parts = table["busy_cycles"] + table[list(STALL_COLUMNS)].sum(axis=1)
    wrong = table[(parts != table["cycles"]).to_numpy()]
    if len(wrong):
        raise InputError(
            f"{where}: operator {wrong['operator'].iloc[0]!r}: busy and stall cycles do not add "
            "up to its cycles"
        )
    for column in ("macs_dense", "macs_effective"):
        total, stated = int(table[column].sum()), getattr(summary, column)
        if total != stated:
            raise InputError(
                f"{where}: {column} adds up to {total}, summary.json says {stated} (truncated?)"
            )


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Load several result folders and give each a label of its own.

    Raises:
        InputError: as `load_run`, or a folder is given twice.
    """
    seen: set[Path] = set()
    runs = []
    for path in paths:
        resolved = Path(path).resolve()
        if resolved in seen:
            raise InputError(f"{path}: given twice")
        seen.add(resolved)
        runs.append(load_run(path))
    return labelled(runs)


def labelled(runs: Sequence[Run]) -> list[Run]:
    """Extend the labels of runs that share one by what tells them apart; last, by the folder."""
    result = list(runs)
    for detail in (
        _machine_detail,
        _phase_detail,
        _batch_detail,
        _setting_detail,
        _folder_detail,
        _path_detail,
    ):
        by_label: dict[str, set[str]] = {}
        count: dict[str, int] = {}
        for run in result:
            by_label.setdefault(run.label, set()).add(detail(run))
            count[run.label] = count.get(run.label, 0) + 1
        result = [
            replace(run, label=f"{run.label}, {detail(run)}")
            if detail(run) and count[run.label] > 1 and len(by_label[run.label]) > 1
            else run
            for run in result
        ]
    return result


def _machine_detail(run: Run) -> str:
    return run.machine.name


def _phase_detail(run: Run) -> str:
    return run.stated("phase")


def _batch_detail(run: Run) -> str:
    return f"batch {run.stated('batch')}"


def _setting_detail(run: Run) -> str:
    machine = run.machine
    changed = (name for name, status in machine.statuses.items() if status == "set by user")
    return " ".join(f"{name}={machine.parameters.get(name)}" for name in changed)


def _folder_detail(run: Run) -> str:
    return run.path.resolve().name


def _path_detail(run: Run) -> str:
    return str(run.path)


def grouped(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs of the same work on the same machine together, in order of appearance, dense first."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    return [sorted(group, key=lambda run: not run.is_dense) for group in groups.values()]


def pair_up(runs: Sequence[Run]) -> tuple[list[Pair], dict[str, str]]:
    """Pair each sparse run with its dense baseline.

    The baseline is the first run of the same network, phase, batch and machine (name and
    parameters) whose provenance says that nothing was pruned.

    Returns:
        The pairs, and by label of each sparse run without a baseline the reason.
    """
    pairs: list[Pair] = []
    unpaired: dict[str, str] = {}
    for run in (run for run in runs if not run.is_dense):
        dense = [other for other in runs if other.is_dense and other.source == run.source]
        matching = [other for other in dense if other.group == run.group]
        if matching:
            pairs.append(Pair(matching[0], run))
        elif any(other.work == run.work for other in dense):
            unpaired[run.label] = "the dense run of this network is on another machine or setting"
        elif dense:
            unpaired[run.label] = "the dense run of this network has another phase or batch"
        else:
            unpaired[run.label] = "no dense run of this network was given"
    return pairs, unpaired
