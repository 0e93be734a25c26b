"""Held-out accuracy against the simulated time of the whole training, speedup and energy beside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import FULL, INK, MARKERS, legend_above, new_figure, series_colours
from reports.labels import method_label
from reports.units import TIMES

#: Accuracies further below the best are put at the lower edge and written out.
_SHOWN = 0.12

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def draw_accuracy_time(table: pd.DataFrame) -> Plate:
    """One row of panels per network: accuracy over time, speedup, energy.

    Args:
        table: a row per network, method and pattern with the columns of
            `reports.training_study.results_table`.
    """
    from matplotlib.lines import Line2D

    networks = list(dict.fromkeys(table["network"]))
    methods = list(dict.fromkeys(table["method"]))
    patterns = [name for name in dict.fromkeys(table["pattern"]) if name != "dense"]
    colours = series_colours(methods)
    markers = dict(zip(patterns, MARKERS[1:], strict=False)) | {"dense": MARKERS[0]}
    figure = new_figure(FULL, 0.5 + 2.2 * len(networks))
    grid = figure.subplots(len(networks), 3, width_ratios=(2.2, 1.4, 1.4), squeeze=False)
    for row, network in enumerate(networks):
        part = table[table["network"] == network]
        _scatter(grid[row, 0], part, colours, markers)
        grid[row, 0].set_title(network)
        # Pruned ones alone: dense is the line at 1.
        rows = part[part["method"] != "dense"]
        _bars(grid[row, 1], rows, "speedup", f"speedup over dense ({TIMES})", colours)
        _bars(grid[row, 2], rows, "energy_saving", f"energy of dense / its own ({TIMES})", colours)
    shapes = [Line2D([], [], color=INK, marker=markers[name], linestyle="none") for name in markers]
    named = [name for name in methods if name != "dense"]
    lines = [Line2D([], [], color=colours[name], linewidth=3) for name in named]
    labels = [method_label(name) for name in named]
    legend_above(figure, [*lines, *shapes], [*labels, *markers])
    seeds = int(table["seeds"].max())
    caption = (
        "Networks trained on the 8 x 8 digits of scikit-learn: a sanity demonstration that the "
        "methods train, not evidence for larger data. Left: held-out accuracy (mean and standard "
        f"deviation of up to {seeds} seeds) against the time of the whole training, which is the "
        "simulated time of one step, on the masks of the trained network, times the steps; what "
        "lies more than 12 points below the best stands at the lower edge with its value. Right: "
        "ratios of that time and of its energy to dense training on the same machine; bars of a "
        "method from the left in the order of the patterns in the legend."
    )
    return Plate(
        "accuracy_time", "Accuracy against training time", caption, figure, table, wide=True
    )


def _scatter(
    axes: Axes, part: pd.DataFrame, colours: dict[str, str], markers: dict[str, str]
) -> None:
    floor = float(part["accuracy_mean"].max()) - _SHOWN
    for _, row in part.iterrows():
        below = row["accuracy_mean"] < floor
        x, y = row["training_seconds"] * 1e3, max(row["accuracy_mean"], floor) * 100
        axes.errorbar(
            x,
            y,
            yerr=0.0 if below else row["accuracy_sd"] * 100,
            color=INK if row["method"] == "dense" else colours[row["method"]],
            marker=markers[row["pattern"]],
            markersize=4.5,
            elinewidth=0.6,
            capsize=1.5,
            linestyle="none",
        )
        if below:
            axes.annotate(
                f"at {row['accuracy_mean']:.0%}", (x, y), (0, 4),
                textcoords="offset points", ha="center", va="bottom", rotation=90, fontsize=5.5,
            )  # fmt: skip
    axes.margins(x=0.12)
    axes.set_xlabel("simulated time of the training (ms)")
    axes.set_ylabel("held-out accuracy (%)")


def _bars(axes: Axes, part: pd.DataFrame, column: str, label: str, colours: dict[str, str]) -> None:
    methods = list(dict.fromkeys(part["method"]))
    for place, method in enumerate(methods):
        values = list(part[part["method"] == method][column])
        width = 0.84 / len(values)
        for index, value in enumerate(values):
            x = place - 0.42 + width * (index + 0.5)
            axes.bar(x, value, 0.92 * width, color=colours[method])
            axes.annotate(
                f"{value:.2f}", (x, 0), (0, 3), textcoords="offset points", ha="center",
                va="bottom", fontsize=5, rotation=90, color="white",
            )  # fmt: skip
    axes.axhline(1.0, color=INK, linewidth=0.6)
    axes.set_xticks(
        range(len(methods)),
        [method_label(name) for name in methods],
        rotation=30 if len(methods) > 4 else 0,
    )
    axes.tick_params(axis="x", length=0)
    if len(part):
        axes.set_ylim(0, 1.05 * max(1.0, float(part[column].max())))
    axes.set_ylabel(label)
