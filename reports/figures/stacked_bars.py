"""Horizontal stacked bars, absolute and normalised side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reports.figures.style import FULL, ink_on, legend_above, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A segment of at least this share of the axis has room for its percentage.
_LABELLED_SHARE = 0.065
#: Longer row labels are broken into lines.
_LABEL_WIDTH = 38


def stacked_bars(
    absolute: pd.DataFrame,
    relative: pd.DataFrame,
    colours: Mapping[str, str],
    names: Mapping[str, str],
    xlabels: tuple[str, str],
    gaps: set[int],
    totals: Sequence[str],
) -> Figure:
    """Two panels of stacked bars with a shared row axis.

    Args:
        absolute: one row per bar (its index the label), one column per part.
        relative: the same, in percent.
        colours: by column; their order is the order in the bar.
        names: legend text of the columns that are not named as they are shown.
        xlabels: of the absolute and of the relative panel.
        gaps: rows before which a group of bars starts.
        totals: text at the end of each absolute bar; it tells bars too short to be seen.
    """
    places, place = [], 0.0
    for row in range(len(absolute)):
        place -= 1.0 + (0.5 if row in gaps and row else 0.0)
        places.append(place)
    parts = [part for part in colours if absolute[part].to_numpy().any()]
    labels = [textwrap.fill(str(label), _LABEL_WIDTH) for label in absolute.index]
    lines = max(label.count("\n") for label in labels) + 1
    figure = new_figure(FULL, 0.85 + max(0.2, 0.11 * lines) * -place)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, table in ((left, absolute), (right, relative)):
        _bars(axes, table, parts, places, colours, names)
        axes.set_ylim(place - 0.6, places[0] + 0.6)
    right.set_xlim(0, max(100.0, relative.sum(axis=1).max()))
    limit = right.get_xlim()[1]
    for row, at in enumerate(places):
        start = 0.0
        for part in parts:
            share = relative[part].iloc[row]
            if share >= _LABELLED_SHARE * limit:
                right.text(
                    start + share / 2, at, f"{share:.0f}", ha="center", va="center_baseline",
                    fontsize=6, color=ink_on(colours[part]),
                )  # fmt: skip
            start += share
    longest = float(absolute.sum(axis=1).max()) or 1.0
    left.set_xlim(0, (1.03 + 0.03 * max(len(total) for total in totals)) * longest)
    for at, end, total in zip(places, absolute.sum(axis=1), totals, strict=True):
        left.annotate(
            total, (end, at), (2, 0), textcoords="offset points", va="center_baseline", fontsize=6
        )
    left.set_yticks(places, labels)
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0, labelleft=False)
    left.set_xlabel(xlabels[0])
    right.set_xlabel(xlabels[1])
    legend_above(figure, *left.get_legend_handles_labels())
    return figure


def _bars(
    axes: Axes,
    table: pd.DataFrame,
    parts: list[str],
    places: list[float],
    colours: Mapping[str, str],
    names: Mapping[str, str],
) -> None:
    start = table.sum(axis=1) * 0.0
    for part in parts:
        axes.barh(
            places, table[part], 0.8, left=start, color=colours[part], label=names.get(part, part)
        )
        start = start + table[part]
