"""Speedup, energy and utilisation of every method and N:M, per network."""

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

_PANELS = (
    ("speedup", f"speedup over dense ({TIMES})", 1.0),
    ("energy_saving", f"energy, dense over this ({TIMES})", 1.0),
    ("utilisation", "utilisation of the array (%)", 100.0),
)


def _kind(variant: str) -> str:
    """Variants of a kind stand together."""
    method = variant.rpartition(" ")[0]
    known = {"": "dense", "BDWP": "both directions"}
    known |= dict.fromkeys(("SR-STE", "SDGP", "SDWP"), "one direction")
    return known.get(method, "extension")


def draw_variants(table: pd.DataFrame, networks: Sequence[str], published: float) -> Plate:
    """Rows: variants; dots: networks; an open tick marks the mean operation-count bound."""
    variants = list(dict.fromkeys(table["variant"]))
    places = grouped_rows([_kind(variant) for variant in variants])
    marks = network_marks(networks)
    figure = new_figure(FULL, 0.75 + 0.19 * -places[-1])
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for number, (axes, (column, label, factor)) in enumerate(zip(panels, _PANELS, strict=True)):
        for place, variant in zip(places, variants, strict=True):
            part = table[table["variant"] == variant].set_index("network")
            dot_row(axes, place, {n: factor * part[column][n] for n in networks if n in part.index},
                    marks)  # fmt: skip
            if column == "speedup":
                axes.plot(
                    [part["operation_bound"].mean()], [place], linestyle="", marker="|",
                    color=FAINT, markersize=8, markeredgewidth=1.4, zorder=2,
                )  # fmt: skip
        row_axes(axes, places, variants if number == 0 else None)
        axes.set_xlabel(label)
    for axes in panels[:2]:
        axes.axvline(1.0, color=FAINT, linewidth=0.6, zorder=1)
    panels[0].axvline(published, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    panels[2].set_xlim(0, 100)
    handles, labels = legend_handles(marks)
    from matplotlib.lines import Line2D

    handles += [
        Line2D([], [], linestyle="", marker="|", color=FAINT, markersize=8, markeredgewidth=1.4),
        Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 2))),
    ]
    labels += ["operation bound (mean)", f"published, BDWP 2:8: {published:g}{TIMES}"]
    legend_above(figure, handles, labels)
    return Plate(
        "variants",
        "Every method and N:M",
        "A training step of each network on the shipped machine, against the dense step of the "
        "same network and batch. Utilisation counts effective MACs over all clocks of the step.",
        figure,
        table,
        wide=True,
    )
