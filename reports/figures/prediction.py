"""How good the offline prediction of each operator's cycles is, beside the simulated cycles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import (
    FAINT,
    FULL,
    MARKERS,
    SERIES_COLOURS,
    legend_above,
    log_scale,
    new_figure,
)
from reports.runs import MAC_KINDS, Run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Smaller errors are drawn as this one, in percent.
_SMALLEST = 0.001
_QUANTILES = {"median": 0.5, "p90": 0.9, "p99": 0.99}


def prediction_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Operators with a prediction: run, operator, engine, phase, predicted, simulated, error.

    `error` is simulated over predicted cycles - 1: positive where the schedule was too hopeful.
    Rows of an engine that another one's operator held beside its own (``@``) are left out.
    """
    import pandas as pd

    parts = []
    for run in runs:
        table = run.operators
        if "predicted_cycles" not in table.columns or not table["kind"].isin(MAC_KINDS).any():
            continue
        kept = (table["predicted_cycles"] > 0) & ~table["operator"].str.contains("@", regex=False)
        found = table.loc[
            kept, ["operator", "engine", "phase", "predicted_cycles", "cycles"]
        ].rename(columns={"cycles": "simulated_cycles"})
        found.insert(0, "run", run.label)
        parts.append(found)
    if not parts:
        return pd.DataFrame()
    table = pd.concat(parts, ignore_index=True)
    table["error"] = table["simulated_cycles"] / table["predicted_cycles"] - 1.0
    return table


def error_table(table: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the error's size by engine, of the operators and of the cycles in total.

    Returns:
        Columns engine, operators, median, p90, p99, largest (of the absolute error), and total
        (sum of the simulated over sum of the predicted cycles - 1).
    """
    import pandas as pd

    rows = []
    for engine, part in table.groupby("engine", sort=False):
        size = part["error"].abs()
        total = part["simulated_cycles"].sum() / part["predicted_cycles"].sum() - 1.0
        rows.append(
            {
                "engine": engine,
                "operators": len(part),
                **{name: float(size.quantile(share)) for name, share in _QUANTILES.items()},
                "largest": float(size.max()),
                "total": float(total),
            }
        )
    return pd.DataFrame(rows).sort_values("operators", ascending=False, ignore_index=True)


def draw_prediction(runs: Sequence[Run], name: str = "prediction") -> Plate | None:
    """Left: simulated over predicted cycles of each operator; right: distribution of the error.

    Returns:
        None if no run has operators that multiply, or none has a prediction.
    """
    table = prediction_table(runs)
    if table.empty:
        return None
    engines = list(dict.fromkeys(table["engine"]))
    colours = dict(zip(engines, cycle(SERIES_COLOURS), strict=False))
    figure = new_figure(FULL, 2.5)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    for index, engine in enumerate(engines):
        part = table[table["engine"] == engine]
        left.plot(
            part["predicted_cycles"],
            part["simulated_cycles"] / part["predicted_cycles"],
            linestyle="",
            marker=MARKERS[index % len(MARKERS)],
            markersize=2.6,
            markeredgewidth=0,
            alpha=0.5,
            color=colours[engine],
            rasterized=True,
        )
        _distribution(right, part, colours[engine])
    left.axhline(1.0, color=FAINT, linewidth=0.6, zorder=0)
    left.set_xscale("log")
    left.set_yscale("log")
    low, high = table["predicted_cycles"].min(), table["predicted_cycles"].max()
    left.set_xlim(low / 1.5, high * 1.5)
    log_scale(left.xaxis, low / 1.5, high * 1.5)
    ratio = table["error"] + 1.0
    low, high = min(0.9, ratio.min() / 1.05), max(1.1, ratio.max() * 1.05)
    left.set_ylim(low, high)
    log_scale(left.yaxis, low, high)
    left.set_xlabel("predicted cycles of the operator")
    left.set_ylabel("simulated over predicted cycles")
    right.set_xscale("log")
    largest = max(1.0, 100.0 * table["error"].abs().max())
    right.set_xlim(_SMALLEST, 1.2 * largest)
    log_scale(right.xaxis, _SMALLEST, 1.2 * largest)
    right.set_xlabel("size of the error (%)")
    right.set_ylabel("with at most this error (%)")
    right.set_ylim(0, 102)
    right.grid(True)
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], marker=MARKERS[index % len(MARKERS)], color=colours[engine], markersize=3.5,
            markeredgewidth=0, linewidth=1.0,
        )
        for index, engine in enumerate(engines)
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=FAINT, linestyle=style, linewidth=1.0) for style in ("-", (0, (2, 1)))
    ]
    legend_above(figure, handles, [*engines, "right: of the operators", "right: of their cycles"])
    caption = (
        "What was predicted before the simulation, against the simulated cycles of every operator "
        f"({len(table):,} of {table['run'].nunique()} runs), by engine. Simulated cycles include "
        "waiting for DRAM that another engine used, which no prediction knows of."
    )
    return Plate(name, "Predicted and simulated cycles", caption, figure, table, wide=True)


def _distribution(axes: Axes, part: pd.DataFrame, colour: str) -> None:
    """Share of the operators (solid) and of their cycles (dashed) up to each error."""
    ordered = part.assign(size=100.0 * part["error"].abs()).sort_values("size")
    sizes = [_SMALLEST, *ordered["size"].clip(lower=_SMALLEST)]
    for weights, style in (
        (ordered["size"] * 0 + 1.0, "-"),
        (ordered["simulated_cycles"], (0, (2, 1))),
    ):
        share = 100.0 * weights.cumsum() / weights.sum()
        axes.step([*sizes, 1e9], [0.0, *share, 100.0], where="post", color=colour, linestyle=style)
