"""The tables of the page, as headings and rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.runs import MachineSummary, Pair, Run
from reports.sweeps import Sweep
from reports.units import TIMES, quantity

#: A parameter's statuses in the order of doubt, the doubtful first.
STATUSES = ("assumed", "derived", "set by user", "published")
NOT_STATED = "not stated"
NO_BASELINE = "no baseline"
_TOP_OPERATORS = 10


@dataclass(frozen=True)
class Table:
    """A table of text; the first `words` columns are words, the others numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    note: str = ""


def runs_table(runs: Sequence[Run], pairs: Sequence[Pair]) -> Table:
    """Totals of every run, with its speedup where it has a baseline.

    Machine, phase, batch and fidelity are columns only where they differ, else a note.
    """
    settings = {
        "machine": [run.machine.name for run in runs],
        "phase": [run.stated("phase") or NOT_STATED for run in runs],
        "batch": [run.stated("batch") or NOT_STATED for run in runs],
        "fidelity": [run.summary.fidelity for run in runs],
    }
    differing = {name: words for name, words in settings.items() if len(set(words)) > 1}
    speedups = {pair.sparse.label: f"{pair.speedup:.3f}{TIMES}" for pair in pairs}
    rows = []
    for index, run in enumerate(runs):
        totals = run.summary
        rows.append(
            [
                run.label,
                *(words[index] for words in differing.values()),
                f"{totals.total_cycles:,}",
                quantity(totals.seconds, "s"),
                "baseline" if run.is_dense else speedups.get(run.label, NO_BASELINE),
                "" if run.is_dense else f"{run.operation_bound:.3f}{TIMES}",
                quantity(totals.energy_j, "J"),
                f"{100 * run.utilisation:.1f} %",
                quantity(totals.macs_dense, ""),
                quantity(totals.macs_effective, ""),
                quantity(totals.macs_dense / totals.seconds, "MAC/s"),
                quantity(totals.dram_bytes, "B"),
            ]
        )
    headings = [
        "run", *differing, "cycles", "time", "speedup", "operation bound", "energy",
        "utilisation", "dense MACs", "effective MACs", "dense-equivalent", "DRAM bytes",
    ]  # fmt: skip
    same = ", ".join(
        f"{name} {words[0]}" for name, words in settings.items() if len(set(words)) == 1
    )
    whose = "All runs" if len(runs) > 1 else "This run"
    note = f"{whose}: {same}." if same else ""
    return Table("Runs", headings, rows, words=1 + len(differing), note=note)


def check_notes(runs: Sequence[Run]) -> list[str]:
    """For each run that was checked: how many passes, and what `--check` found equal."""
    return [
        f"Checked {run.label}: {check.passes_checked:,} of {check.passes:,} passes "
        f"(values: {check.values}; clocks: {check.clocks})."
        for run in runs
        if (check := run.check) is not None
    ]


def trace_notes(group: Sequence[Run]) -> list[str]:
    """What the traces say of themselves: layers left dense and why, and notes; each once."""
    lines = []
    for run in group:
        left = run.provenance.get("left_dense")
        if left and not run.is_dense:
            layers = (
                [f"{layer} ({_shown(reason)})" for layer, reason in left.items()]
                if isinstance(left, Mapping)
                else [_shown(left)]
            )
            lines.append(f"Left dense in {run.label}: {', '.join(layers)}.")
        notes = run.provenance.get("notes") or []
        lines.extend(f"Note of the trace: {note}." for note in notes if isinstance(note, str))
    return list(dict.fromkeys(lines))


def accuracy_table(runs: Sequence[Run], pairs: Sequence[Pair]) -> Table | None:
    """What the traces say of accuracy, beside the speedup; nothing if none says anything."""
    speedups = {pair.sparse.label: f"{pair.speedup:.3f}{TIMES}" for pair in pairs}
    stated = {run.label: _flat(run.provenance.get("accuracy")) for run in runs}
    names = list(dict.fromkeys(name for entry in stated.values() for name in entry))
    if not names:
        return None
    rows = [
        [
            run.label,
            "baseline" if run.is_dense else speedups.get(run.label, NO_BASELINE),
            *(_shown(stated[run.label].get(name, "")) for name in names),
        ]
        for run in runs
        if stated[run.label]
    ]
    return Table(
        "Accuracy beside speedup",
        ["run", "speedup", *names],
        rows,
        note="Accuracy as recorded in the trace when it was extracted; the simulation does not "
        "change it.",
    )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {prefix or "accuracy": value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat.update(_flat(inner, f"{prefix} {key}".strip().replace("_", " ")))
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else quantity(value, "")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_shown(item) for item in value)
    return str(value)


def machines_of(runs: Sequence[Run]) -> list[MachineSummary]:
    """The distinct machines (by parameters) of the runs, in order of appearance."""
    return list({(run.machine.name, run.machine.sha256): run.machine for run in runs}.values())


def status_counts(machine: MachineSummary) -> dict[str, int]:
    """How many parameters have each status; parameters without one count as `not stated`."""
    counts = dict.fromkeys((*STATUSES, NOT_STATED), 0)
    for name in machine.parameters:
        status = machine.statuses.get(name, NOT_STATED)
        counts[status] = counts.get(status, 0) + 1
    return {status: count for status, count in counts.items() if count}


def machine_table(machine: MachineSummary) -> Table:
    """Every parameter with its value and status, assumed ones first."""
    order = {status: place for place, status in enumerate(STATUSES)}
    rows = [
        [name, machine.statuses.get(name, NOT_STATED), _shown(value)]
        for name, value in machine.parameters.items()
    ]
    rows.sort(key=lambda row: order.get(row[1], -1))
    counts = ", ".join(f"{count} {status}" for status, count in status_counts(machine).items())
    return Table(
        f"Machine {machine.name}",
        ["parameter", "status", "value"],
        rows,
        words=2,
        note=f"{len(rows)} parameters: {counts}. Peak {machine.peak_macs_per_cycle:g} MACs and "
        f"{machine.dram_bytes_per_cycle:.4g} DRAM bytes per clock, "
        f"{quantity(machine.on_chip_bytes, 'B')} on chip.",
    )


def top_operators(run: Run) -> Table:
    """The operators with most cycles."""
    total = run.summary.total_cycles
    rows = [
        [
            *(str(row[column]) for column in ("operator", "phase", "engine", "mapping", "pattern")),
            f"{row['cycles']:,}",
            f"{100 * row['cycles'] / total:.1f} %",
            f"{100 * row['busy_cycles'] / max(1, row['cycles']):.1f} %",
            quantity(row["macs_effective"], ""),
        ]
        for row in run.operators.nlargest(_TOP_OPERATORS, "cycles").to_dict("records")
    ]
    headings = [
        "operator", "phase", "engine", "mapping", "pattern", "cycles", "of the run", "busy",
        "effective MACs",
    ]  # fmt: skip
    return Table(f"{run.label}: operators with most cycles", headings, rows, words=5)


def front_table(sweep: Sweep) -> Table:
    """The design points on the Pareto front, fastest first."""
    front = sweep.done[sweep.done["on_front"]].sort_values(["work", "seconds"])
    machines = ["machine_name"] if front["machine_name"].nunique() > 1 else []
    columns = [*machines, *sweep.parameters]
    rows = [
        [
            str(row["trace_name"]),
            str(row["variant"]),
            *(_shown(row[column]) for column in columns),
            quantity(row["seconds"], "s"),
            quantity(row["energy_j"], "J"),
            f"{100 * row['utilisation']:.1f} %",
            f"{int(row['pes']):,}",
            quantity(row["on_chip_bytes"], "B"),
            *([f"{int(row['lut']):,}", f"{int(row['dsp']):,}"] if sweep.synthesized else []),
        ]
        for row in front.to_dict("records")
    ]
    headings = [
        "trace", "pruning", *columns, "time", "energy", "utilisation", "PEs", "on-chip bytes",
        *(["LUT", "DSP"] if sweep.synthesized else []),
    ]  # fmt: skip
    costs = (
        "time and LUTs (synthesized units, without buffers, vector unit and DMA)"
        if sweep.synthesized
        else "time, energy and PEs (which stand for area)"
    )
    note = (
        f"Not dominated: no design point of the same work is at least as good in {costs} and "
        "better in one of them."
    )
    return Table(f"Sweep {sweep.name}: Pareto front", headings, rows, words=2, note=note)


def failures_table(sweep: Sweep) -> Table | None:
    """The design points that failed and why; nothing if all are done."""
    failed = sweep.table[sweep.table["status"] == "failed"]
    if failed.empty:
        return None
    rows = [
        [
            str(row["point_id"]),
            str(row["trace_name"]),
            ", ".join(f"{name}={row[name]}" for name in sweep.parameters),
            str(row["error"]),
        ]
        for row in failed.to_dict("records")
    ]
    headings = ["point", "trace", "parameters", "error"]
    return Table(f"Sweep {sweep.name}: failed design points", headings, rows, words=4)


def versions_table(runs: Sequence[Run]) -> Table:
    """What is needed to run everything again."""
    rows = [
        [
            run.label,
            str(run.path),
            run.stated("source") or NOT_STATED,
            run.stated("weights") or NOT_STATED,
            run.summary.trace.sha256[:16],
            run.machine.sha256[:16],
            run.machine.simulator_version,
            run.stated("seed") or NOT_STATED,
            str(run.summary.seed),
        ]
        for run in runs
    ]
    headings = [
        "run", "folder", "source", "weights", "trace SHA-256", "machine SHA-256", "simulator",
        "trace seed", "run seed",
    ]  # fmt: skip
    return Table("Versions and hashes", headings, rows, words=9)
