"""What each optimisation is worth: the machine without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import FAINT, FULL, INK, legend_above, new_figure
from reports.sat_study.figures.rows import (
    dot_row,
    grouped_rows,
    legend_handles,
    network_marks,
    row_axes,
)
from reports.units import TIMES

if TYPE_CHECKING:
    import pandas as pd


def draw_ablation(
    table: pd.DataFrame, networks: Sequence[str], variant: str, shipped: float
) -> Plate:
    """Rows: settings; left and middle: time lost by the steps; right: the speedup that is left."""
    rows = table[["group", "label"]].drop_duplicates()
    places = grouped_rows(list(rows["group"]))
    labels = [f"{row.group}: {row.label}" for row in rows.itertuples()]
    marks = network_marks(networks)
    figure = new_figure(FULL, 0.8 + 0.2 * -places[-1])
    panels = figure.subplots(1, 3, sharey=True)
    for number, (axes, column) in enumerate(
        zip(panels, ("dense_loss", "sparse_loss", "speedup"), strict=True)
    ):
        factor = 1.0 if column == "speedup" else 100.0
        for place, row in zip(places, rows.itertuples(), strict=True):
            part = table[(table["group"] == row.group) & (table["label"] == row.label)]
            values = {
                str(one.network): factor * float(getattr(one, column)) for one in part.itertuples()
            }
            dot_row(axes, place, values, marks)
        row_axes(axes, places, labels if number == 0 else None)
        axes.axvline(
            shipped if column == "speedup" else 0.0,
            color=INK if column == "speedup" else FAINT,
            linewidth=0.8,
            linestyle=(0, (1, 1.5)) if column == "speedup" else "-",
            zorder=1,
        )
    panels[0].set_xlabel("dense step longer by (%)")
    panels[1].set_xlabel(f"{variant} longer by (%)")
    panels[2].set_xlabel(f"speedup over dense ({TIMES})")
    handles, names = legend_handles(marks)
    from matplotlib.lines import Line2D

    handles.append(Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (1, 1.5))))
    names.append(f"shipped machine, mean {shipped:.3f}{TIMES}")
    legend_above(figure, handles, names)
    return Plate(
        "ablation",
        "Optimisations off, one at a time",
        "Left and middle: time of the step against the shipped machine; negative: faster. "
        f"Right: speedup of {variant} over dense, both on the setting of the row.",
        figure,
        table,
        wide=True,
    )
