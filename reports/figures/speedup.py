"""Speedup over the dense run, per network, with the operation-count bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.figures.plate import Plate
from reports.figures.style import (
    COLUMN,
    FAINT,
    FULL,
    INK,
    ink_on,
    legend_above,
    new_figure,
    series_colours,
)
from reports.papers.published import PublishedSpeedup
from reports.runs import Pair
from reports.units import TIMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Width of a letter, and height of a line, of a tick label in inches.
_LETTER, _LINE = 0.055, 0.13
_TILT = 25


def speedup_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """One row per sparse run with a baseline: seconds, their ratio and the bound."""
    import pandas as pd

    rows = [
        {
            "network": pair.sparse.network,
            "machine": pair.sparse.machine.name,
            "phase": pair.sparse.stated("phase"),
            "batch": pair.sparse.stated("batch"),
            "variant": pair.sparse.variant,
            "run": pair.sparse.label,
            "baseline": pair.dense.label,
            "dense_seconds": pair.dense.summary.seconds,
            "seconds": pair.sparse.summary.seconds,
            "speedup": pair.speedup,
            "operation_bound": pair.operation_bound,
        }
        for pair in pairs
    ]
    return pd.DataFrame(rows)


def group_labels(table: pd.DataFrame) -> list[str]:
    """The network of each row, with what else is needed to tell the bar groups apart."""
    parts = ["network", *(c for c in ("machine", "phase", "batch") if table[c].nunique() > 1)]
    return ["\n".join(str(row[part]) for part in parts) for _, row in table.iterrows()]


def draw_speedup(pairs: Sequence[Pair], published: Sequence[PublishedSpeedup]) -> Plate:
    """Bars per network and run; a tick on each bar marks its operation-count bound."""
    table = speedup_table(pairs)
    variants = list(dict.fromkeys(table["variant"]))
    colours = series_colours(variants)
    # One slot per bar, bars of one network side by side and a gap between networks.
    groups: dict[str, list[int]] = {}
    for row, label in enumerate(group_labels(table)):
        groups.setdefault(label, []).append(row)
    position, centres = 0.0, []
    places: dict[int, float] = {}
    for rows in groups.values():
        for row in rows:
            places[row] = position
            position += 1.0
        centres.append((places[rows[0]] + places[rows[-1]]) / 2)
        position += 0.6
    width = min(FULL, max(COLUMN, 0.32 * position + 0.5))
    figure = new_figure(width, 2.3)
    axes = figure.subplots()
    crowded = width / (position + 1) < 0.28
    shown: set[str] = set()
    for row, place in places.items():
        variant, speedup = table["variant"][row], table["speedup"][row]
        axes.bar(
            place,
            speedup,
            0.86,
            color=colours[variant],
            label=None if variant in shown else variant,
            zorder=2,
        )
        shown.add(variant)
        axes.annotate(
            f"{speedup:.2f}", (place, 0), (0, 4), textcoords="offset points", ha="center",
            va="bottom", color=ink_on(colours[variant]), fontsize=6.5,
            rotation=90 if crowded else 0,
        )  # fmt: skip
    axes.hlines(
        [table["operation_bound"][row] for row in places],
        [place - 0.43 for place in places.values()],
        [place + 0.43 for place in places.values()],
        color=INK,
        linewidth=1.4,
        label="operation-count bound",
        zorder=3,
    )
    axes.axhline(1.0, color=FAINT, linewidth=0.6, zorder=1)
    for figure_of_paper in published:
        axes.axhline(
            figure_of_paper.value,
            color=INK,
            linewidth=0.8,
            linestyle=(0, (4, 2)),
            label=figure_of_paper.label,
        )
    axes.set_xticks(centres, list(groups))
    axes.tick_params(axis="x", length=0)
    apart = min(np.diff(centres), default=position) * width / position
    _turn_labels(figure, axes, list(groups), apart)
    # A lone pair of bars keeps a bar's proportions instead of filling the page.
    spare = max(0.0, 4.0 - position) / 2
    axes.set_xlim(-0.7 - spare, position - 0.9 + spare)
    axes.set_ylim(0, 1.05 * max(1.0, table["speedup"].max(), table["operation_bound"].max()))
    axes.set_ylabel(f"speedup over dense ({TIMES})")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order = [*variants, *(label for label in handles if label not in variants)]
    legend_above(figure, [handles[label] for label in order], order)
    caption = (
        "Speedup: seconds of the dense run over seconds of the sparse run, same network, phase "
        "and batch on the same machine. Black ticks: the bound set by the operation count "
        "(dense MACs over effective MACs); a run passes it where pruning cuts other cycles by "
        "more than the MACs."
    )
    if published:
        caption += " Dashed: " + " ".join(item.caption for item in published)
    return Plate("speedup", "Speedup over dense", caption, figure, table, wide=width > COLUMN + 1)


def _turn_labels(figure: Figure, axes: Axes, labels: Sequence[str], apart: float) -> None:
    """Turn the labels of groups that are `apart` inches, or more, so that none covers another."""
    lines = [label.split("\n") for label in labels]
    if max(len(line) for label in lines for line in label) * _LETTER <= apart:
        return
    if max(len(label) for label in lines) * _LINE / math.sin(math.radians(_TILT)) <= apart:
        for text in axes.get_xticklabels():
            text.set(rotation=_TILT, ha="right", rotation_mode="anchor")
        return
    axes.set_xticks(axes.get_xticks(), [", ".join(label) for label in lines], rotation=90)
    for text in axes.get_xticklabels():
        text.set_fontsize(min(text.get_fontsize(), 60 * apart))
    longest = max(sum(len(line) + 2 for line in label) for label in lines)
    figure.set_figheight(figure.get_figheight() + longest * _LETTER)
