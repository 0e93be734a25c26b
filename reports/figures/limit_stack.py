"""Speed-up against sparsity, and what bends it: clocks by limit, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import FAINT, FULL, INK, legend_above, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLOURS = ("#332288", "#88CCEE", "#44AA99", "#DDCC77", "#AA4499", "#882255", "#DDDDDD", "#CC6677")
_COLUMNS = 4


def draw_limit_stack(table: pd.DataFrame, limits: Sequence[str]) -> Plate:
    """One pair of panels per network.

    Args:
        table: rows by network and sparsity: samples_per_second, energy_mj_per_sample,
            total_cycles and a column `<limit>_cycles` for each of `limits`.
    """
    networks = list(dict.fromkeys(table["network"]))
    blocks = -(-len(networks) // _COLUMNS)
    figure = new_figure(FULL, 0.3 + 3.1 * blocks)
    axes = figure.subplots(2 * blocks, _COLUMNS, squeeze=False)
    for index in range(blocks * _COLUMNS):
        block, column = divmod(index, _COLUMNS)
        upper, lower = axes[2 * block][column], axes[2 * block + 1][column]
        if index >= len(networks):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        part = table[table["network"] == networks[index]].sort_values("sparsity")
        _curves(upper, part, networks[index], column == 0)
        _stack(lower, part, limits, column == 0)
    handles, labels = axes[1][0].get_legend_handles_labels()
    lines, names = axes[0][0].get_legend_handles_labels()
    legend_above(figure, [*lines, *handles], [*names, *labels])
    return Plate(
        "s4-limits",
        "S4: speed-up and energy against sparsity, and what bends them",
        "Upper panels: speed-up and energy saving over the same network with dense weights on the "
        "same machine, and the sparsity itself. Lower panels: share of the SPUs' clocks by what "
        "holds them; they add up to the run.",
        figure,
        table,
        wide=True,
    )


def _curves(axes: Axes, part: pd.DataFrame, title: str, first: bool) -> None:
    sparsity = part["sparsity"].to_numpy()
    rate = part["samples_per_second"].to_numpy()
    energy = part["energy_mj_per_sample"].to_numpy()
    axes.plot(sparsity, sparsity, color=FAINT, linestyle=":", label="ideal")
    axes.plot(sparsity, rate / rate[0], color=INK, marker="o", label="speed-up")
    axes.plot(
        sparsity, energy[0] / energy, color="#228833", marker="^", linestyle="--",
        label="energy saving",
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_ylim(0.9, 40)
    ticks = [1, 2, 4, 8, 16, 32]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(True)
    axes.set_title(title)
    if first:
        axes.set_ylabel("gain over dense (x)")
    axes.annotate(
        f"{rate[-1] / rate[0]:.1f}", (sparsity[-1], rate[-1] / rate[0]), (0, -5),
        textcoords="offset points", ha="center", va="top", fontsize=6,
    )  # fmt: skip


def _stack(axes: Axes, part: pd.DataFrame, limits: Sequence[str], first: bool) -> None:
    places = range(len(part))
    base = part["total_cycles"].to_numpy() * 0.0
    for limit, colour in zip(limits, _COLOURS, strict=True):
        share = 100.0 * part[f"{limit}_cycles"].to_numpy() / part["total_cycles"].to_numpy()
        axes.bar(places, share, 0.85, bottom=base, color=colour, label=limit)
        base = base + share
    axes.set_xticks(list(places), [str(value) for value in part["sparsity"]])
    axes.set_ylim(0, 100)
    axes.set_xlabel("sparsity (x)")
    if first:
        axes.set_ylabel("SPU clocks (%)")
