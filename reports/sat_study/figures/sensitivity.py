"""Which settings of unpublished parameters give the published mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import (
    COLUMN,
    FULL,
    INK,
    MARKERS,
    SERIES_COLOURS,
    legend_above,
    log_scale,
    new_figure,
)
from reports.sat_study.calibration import Fit, means
from reports.sat_study.figures.rows import (
    dot_row,
    grouped_rows,
    legend_handles,
    network_marks,
    row_axes,
)
from reports.sat_study.settings import BANDWIDTHS, FUSIONS, fusion_and_bandwidth
from reports.units import TIMES

if TYPE_CHECKING:
    import pandas as pd

#: Settings whose mean is as near as this to the published one cannot be told from it.
NEAR = 0.02
_BAND = "#F4E7B5"


def draw_sensitivity(
    table: pd.DataFrame, networks: Sequence[str], shipped: float, published: float
) -> Plate:
    """Rows: settings; dots: networks; the band around the published mean."""
    rows = table[["group", "label", "setting"]].drop_duplicates()
    places = grouped_rows(list(rows["group"]))
    labels = [f"{row.group}: {row.label}" for row in rows.itertuples()]
    marks = network_marks(networks)
    figure = new_figure(FULL, 0.8 + 0.13 * -places[-1])
    axes = figure.subplots()
    axes.axvspan(published * (1 - NEAR), published * (1 + NEAR), color=_BAND, linewidth=0, zorder=0)
    for place, row in zip(places, rows.itertuples(), strict=True):
        part = table[table["setting"] == row.setting]
        values = {str(one.network): float(str(one.speedup)) for one in part.itertuples()}
        mean = dot_row(axes, place, values, marks)
        axes.annotate(
            f"{mean:.3f}", (1.0, place), (26, 0), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", ha="right", va="center_baseline", fontsize=6.5,
            fontweight="bold" if abs(mean / published - 1) <= NEAR else "normal",
        )  # fmt: skip
    row_axes(axes, places, labels)
    axes.axvline(shipped, color=INK, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    axes.axvline(published, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    axes.set_xlabel(f"speedup of BDWP 2:8 over dense ({TIMES}); right: mean")
    handles, names = legend_handles(marks)
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles += [
        Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (4, 2))),
        Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (1, 1.5))),
        Patch(color=_BAND),
    ]
    names += [
        f"published {published:g}{TIMES}",
        f"shipped {shipped:.3f}{TIMES}",
        f"published ± {100 * NEAR:g} %",
    ]
    legend_above(figure, handles, names)
    return Plate(
        "sensitivity",
        "Unpublished parameters, one at a time",
        "Each row changes one parameter of the shipped machine, or the batch of the traces, and "
        "simulates dense and BDWP 2:8 of every network again. Bold: within "
        f"{100 * NEAR:g} % of the published mean, which therefore does not identify the parameter.",
        figure,
        table,
        wide=True,
    )


def draw_fitted(grid: pd.DataFrame, published: float, fits: Sequence[Fit]) -> Plate:
    """Mean speedup against DRAM bandwidth, a line per fusion, the fits marked."""
    mean = means(grid)
    figure = new_figure(COLUMN, 2.3)
    axes = figure.subplots()
    for number, fusion in enumerate(FUSIONS):
        axes.plot(
            BANDWIDTHS,
            [mean[fusion_and_bandwidth(fusion, rate).name] for rate in BANDWIDTHS],
            marker=MARKERS[number],
            markersize=3.5,
            markeredgewidth=0,
            color=SERIES_COLOURS[number],
            label=f"fusion {fusion}",
        )
    for fit in fits:
        axes.plot(
            [fit.gigabytes], [fit.speedup], linestyle="", marker="o", markersize=7,
            markerfacecolor="none", markeredgecolor=INK, markeredgewidth=0.9,
            label="fit, simulated" if fit is fits[0] else None,
        )  # fmt: skip
    axes.axhline(
        published, color=INK, linewidth=0.8, linestyle=(0, (4, 2)),
        label=f"published {published:g}{TIMES}",
    )  # fmt: skip
    axes.set_xscale("log")
    log_scale(axes.xaxis, BANDWIDTHS[0] / 1.2, BANDWIDTHS[-1] * 1.2)
    axes.set_xlim(BANDWIDTHS[0] / 1.2, BANDWIDTHS[-1] * 1.2)
    axes.set_xlabel("DRAM bandwidth (GB/s)")
    axes.set_ylabel(f"mean speedup over dense ({TIMES})")
    legend_above(figure, *axes.get_legend_handles_labels())
    return Plate(
        "fitted",
        "The two fitted parameters",
        "Mean speedup of BDWP 2:8 over dense. Wherever a line crosses the dashed one, the "
        "published mean is met exactly: it does not tell these settings apart.",
        figure,
        grid,
    )
