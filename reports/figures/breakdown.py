"""Where the clocks go: busy and stall cycles by cause, per engine and per kind of operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.stacked_bars import stacked_bars
from reports.figures.style import CYCLE_COLOURS, CYCLE_NAMES, PHASE_COLOURS
from reports.labels import slug
from reports.runs import MAC_KINDS, STALL_COLUMNS, Run
from reports.units import axis_prefix, quantity
from sparsesim.results import STALL_CAUSES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_COUNTS = ("busy_cycles", *STALL_COLUMNS)


#: More bars per run, or in all, are not readable; the data lists every engine.
MAX_ENGINES = 8
MAX_BARS = 64


def engine_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Busy and stall cycles of every engine of every run; each row adds up to its total."""
    import pandas as pd

    rows = [
        {
            "run": run.label,
            "engine": name,
            "busy_cycles": engine.busy_cycles,
            **{f"stall_{c}_cycles": engine.stall_cycles.get(c, 0) for c in STALL_CAUSES},
            "total_cycles": run.summary.total_cycles,
        }
        for run in runs
        for name, engine in run.summary.engines.items()
    ]
    return pd.DataFrame(rows)


def phase_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Busy and stall cycles of the operators of every run, by GEMM or element-wise and phase."""
    import pandas as pd

    parts = []
    for run in runs:
        operators = run.operators.assign(
            work=run.operators["kind"].isin(MAC_KINDS).map({True: "GEMM", False: "element-wise"})
        )
        table = operators.groupby(["work", "phase"])[[*_COUNTS, "cycles"]].sum().reset_index()
        table.insert(0, "run", run.label)
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    phases = {phase: place for place, phase in enumerate(PHASE_COLOURS)}
    table["_work"] = table["work"] != "GEMM"
    table["_phase"] = table["phase"].map(phases).fillna(len(phases))
    table["_run"] = table["run"].map({run.label: place for place, run in enumerate(runs)})
    table = table.sort_values(["_work", "_phase", "phase", "_run"])
    return table.drop(columns=["_work", "_phase", "_run"]).reset_index(drop=True)


def draw_engines(runs: Sequence[Run]) -> Plate:
    """One bar per engine and run, of the first engines of each run.

    They are `MAX_ENGINES` at most, and fewer, but one, if that would make more than `MAX_BARS`.
    """
    full = engine_table(runs)
    most = max(1, min(MAX_ENGINES, MAX_BARS // len(runs)))
    table = full.groupby("run", sort=False).head(most).reset_index(drop=True)
    labels = [f"{row.run}, {row.engine}" for row in table.itertuples()]
    changes = table["run"].ne(table["run"].shift()) if most > 1 else [False] * len(table)
    first = "first engine" if most == 1 else f"first {most} engines"
    drawn = "" if len(table) == len(full) else f" Of each run the {first}."
    return Plate(
        "cycles-engines",
        "Cycles by stall cause, whole run",
        "Every clock of an engine is busy or has exactly one stall cause. Left: absolute, with the "
        "total; right: share of the total cycles in percent." + drawn,
        _draw(table, labels, {row for row in range(len(table)) if changes[row]}, "engine"),
        full,
        wide=True,
    )


def draw_phases(group: Sequence[Run]) -> Plate:
    """One bar per run, kind of operator and phase, for runs of the same network and machine."""
    table = phase_table(group)
    variants = {run.label: run.variant for run in group}
    if len(set(variants.values())) < len(group):
        variants = {run.label: run.label for run in group}
    labels = [f"{row.work} {row.phase}, {variants[str(row.run)]}" for row in table.itertuples()]
    kinds = table["work"] + table["phase"]
    changes = kinds.ne(kinds.shift())
    first = group[0]
    return Plate(
        f"cycles-phases-{slug(first.label)}",
        f"Cycles by stall cause and phase: {first.network}",
        "Cycles of the operators, summed by kind and phase, dense beside sparse. Left: "
        "absolute, with the total; right: share in percent. Operators on "
        "different engines may overlap, so the bars need not add up to the total cycles.",
        _draw(table, labels, {row for row in range(len(table)) if changes[row]}, "operators'"),
        table,
        wide=True,
    )


def _draw(table: pd.DataFrame, labels: list[str], gaps: set[int], whose: str) -> Figure:
    counts = table[list(_COUNTS)].set_axis(list(CYCLE_COLOURS), axis=1).set_axis(labels, axis=0)
    sums = counts.sum(axis=1)
    divisor, prefix = axis_prefix(sums.max())
    return stacked_bars(
        counts / divisor,
        100.0 * counts.div(sums.where(sums > 0, 1), axis=0),
        CYCLE_COLOURS,
        CYCLE_NAMES,
        (f"cycles ({prefix})" if prefix else "cycles", f"share of the {whose} cycles (%)"),
        gaps,
        [quantity(total, "") for total in sums],
    )
