"""Design points of a sweep: seconds against energy or LUTs, the undominated ones marked."""

from __future__ import annotations

import math
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
    series_colours,
)
from reports.labels import slug
from reports.sweeps import Sweep
from reports.units import axis_prefix, short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def colour_column(sweep: Sweep) -> str | None:
    """`pes` if it varies, else the parameter with the most values, else nothing."""
    counts = {name: sweep.done[name].nunique() for name in ("pes", *sweep.parameters)}
    if counts["pes"] > 1:
        return "pes"
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] > 1 else None


def draw_pareto(sweep: Sweep) -> Plate:
    """One panel per network; marker shape: the pruning, colour: the most telling parameter."""
    done = sweep.done
    networks = list(dict.fromkeys(done["work"]))
    columns = min(3, len(networks))
    rows = math.ceil(len(networks) / columns)
    wide = columns > 1
    figure = new_figure(FULL if wide else COLUMN, 0.5 + 2.3 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = list(grid.flat)
    shade = _Shade(done, colour_column(sweep))
    variants = list(dict.fromkeys(done["variant"]))
    against = ("lut", "LUTs", "") if sweep.synthesized else ("energy_j", "energy", "J")
    units = []
    for column, _, unit in (("seconds", "time", "s"), against):
        divisor, prefix = axis_prefix(done[column].max())
        units.append((column, divisor, prefix + unit))
    for axes, network in zip(panels, networks, strict=False):
        part = done[done["work"] == network]
        _points(axes, part, variants, shade, units, joined=None if sweep.synthesized else "pes")
        if len(networks) > 1:
            axes.set_title(network)
        axes.set_xlabel(f"time ({units[0][2]})")
        axes.set_ylabel(f"{against[1]} ({units[1][2]})" if units[1][2] else against[1])
    for axes in panels[len(networks) :]:
        axes.remove()
    shade.explain(figure, panels[: len(networks)])
    _legend(figure, variants, shade, "joined" if sweep.synthesized else "equal PEs joined")
    failed = f"{sweep.failed} of {len(sweep.table)} design points failed and are not drawn."
    return Plate(
        f"pareto-{slug(sweep.name)}",
        f"Design space: {sweep.name}",
        f"{_SYNTHESIZED_CAPTION if sweep.synthesized else _CAPTION} {failed}",
        figure,
        sweep.table,
        wide,
    )


_CAPTION = (
    "Outlined: design points that no other point of the same work beats in the three objectives "
    "time, energy and number of PEs, which stands for area; dominated points are faint. Lines "
    "join the outlined points with the same number of PEs. Energy is dynamic only."
)
_SYNTHESIZED_CAPTION = (
    "Outlined and joined: design points that no other point of the same work beats in time and in "
    "LUTs; dominated points are faint. LUTs are those of the synthesized units of the design: "
    "PEs, edges and control of the array, sorter and update lanes."
)


class _Shade:
    """Colours of the design points: a scale for numbers, a palette for words."""

    def __init__(self, done: pd.DataFrame, column: str | None) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import LogNorm, Normalize

        self.column = column
        self.palette: dict[str, str] = {}
        self.scale = None
        if column is None:
            return
        if done[column].dtype.kind in "iuf":
            low, high = float(done[column].min()), float(done[column].max())
            wide = low > 0 and high / low >= 4
            self.norm = LogNorm(low, high) if wide else Normalize(low, high)
            self.values = sorted(done[column].dropna().unique())
            # The palest end of the map is lost on white paper.
            self.scale = colormaps["viridis_r"]
        else:
            words = dict.fromkeys(done[column].astype(str))
            self.palette = {
                word: SERIES_COLOURS[index % len(SERIES_COLOURS)]
                for index, word in enumerate(words)
            }

    def of(self, part: pd.DataFrame) -> list[object]:
        """The colour of each row."""
        if self.column is None:
            return [SERIES_COLOURS[0]] * len(part)
        if self.scale is not None:
            return [self.scale(0.08 + 0.92 * self.norm(value)) for value in part[self.column]]
        return [self.palette[str(value)] for value in part[self.column]]

    def explain(self, figure: Figure, panels: list[Axes]) -> None:
        """A colour bar for a numeric scale."""
        if self.scale is None:
            return
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import ListedColormap
        from matplotlib.ticker import FixedLocator, NullLocator

        shown = ListedColormap([self.scale(0.08 + 0.92 * step / 255) for step in range(256)])
        bar = figure.colorbar(ScalarMappable(self.norm, shown), ax=panels, pad=0.02, aspect=30)
        bar.set_label("PEs" if self.column == "pes" else str(self.column))
        bar.outline.set_linewidth(0.4)
        if len(self.values) <= 8:
            bar.ax.yaxis.set_major_locator(FixedLocator(self.values))
            bar.ax.yaxis.set_minor_locator(NullLocator())
            bar.ax.set_yticklabels([short(value) for value in self.values])


def _points(
    axes: Axes,
    part: pd.DataFrame,
    variants: list[str],
    shade: _Shade,
    units: list[tuple[str, float, str]],
    joined: str | None,
) -> None:
    (x, x_divisor, _), (y, y_divisor, _) = units
    for index, variant in enumerate(variants):
        for front in (False, True):
            points = part[(part["variant"] == variant) & (part["on_front"] == front)]
            axes.scatter(
                points[x] / x_divisor,
                points[y] / y_divisor,
                s=18 if front else 14,
                marker=MARKERS[index % len(MARKERS)],
                color=shade.of(points),
                alpha=1.0 if front else 0.3,
                edgecolors=INK if front else "none",
                linewidths=0.7,
                zorder=3 if front else 2,
            )
    # With three objectives only points of one size form a front in the plane of the figure.
    undominated = part[part["on_front"]].sort_values([x, y])
    for best in (
        [undominated] if joined is None else [part for _, part in undominated.groupby(joined)]
    ):
        axes.plot(best[x] / x_divisor, best[y] / y_divisor, color=INK, linewidth=0.5, zorder=1)
    for name, column, divisor in (("x", x, x_divisor), ("y", y, y_divisor)):
        low, high = part[column].min() / divisor, part[column].max() / divisor
        if low > 0 and high / low > 8:
            axes.set(**{f"{name}scale": "log"})
            log_scale(getattr(axes, f"{name}axis"), low, high)


def _legend(figure: Figure, variants: list[str], shade: _Shade, lines: str) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[index % len(MARKERS)], color=INK, label=variant)
        for index, variant in enumerate(variants)
    ]
    handles += [
        Line2D([], [], linestyle="", marker="s", color=colour, label=f"{shade.column}={word}")
        for word, colour in shade.palette.items()
    ]
    handles.append(
        Line2D(
            [], [], linestyle="-", linewidth=0.5, color=INK, marker=MARKERS[0],
            markerfacecolor="none", markeredgewidth=0.6, label=f"not dominated, {lines}",
        )
    )  # fmt: skip
    legend_above(figure, handles, [str(handle.get_label()) for handle in handles])


def draw_sensitivity(sweep: Sweep) -> Plate:
    """Seconds and energy over the one numeric parameter that was swept.

    Raises:
        ValueError: not exactly one parameter was swept, or it is not numeric.
    """
    if len(sweep.parameters) != 1 or not sweep.numeric_parameters:
        raise ValueError("a sensitivity plot needs exactly one swept parameter, a numeric one")
    parameter = sweep.parameters[0]
    done = sweep.done.sort_values(parameter)
    lines = ["trace_name", "variant", "machine_name"]
    named = [column for column in lines if done[column].nunique() > 1]
    keys = [dict(zip(lines, key, strict=True)) for key, _ in done.groupby(lines, sort=False)]
    labels = [" ".join(str(key[name]) for name in named) for key in keys]
    colours = list(series_colours(labels).values())
    figure = new_figure(COLUMN, 3.2)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, (column, quantity, unit) in zip(
        panels, (("seconds", "time", "s"), ("energy_j", "energy", "J")), strict=True
    ):
        divisor, prefix = axis_prefix(done[column].max())
        for index, (_, part) in enumerate(done.groupby(lines, sort=False)):
            axes.plot(
                part[parameter],
                part[column] / divisor,
                marker=MARKERS[index % len(MARKERS)],
                color=colours[index],
                label=labels[index],
            )
        axes.set_ylim(0, 1.08 * done[column].max() / divisor)
        axes.set_ylabel(f"{quantity} ({prefix}{unit})")
        axes.grid(axis="y")
    values = sorted(done[parameter].unique())
    if values[0] > 0 and values[-1] / values[0] >= 4:
        panels[-1].set_xscale("log")
    if len(values) <= 8:
        panels[-1].set_xticks(values, [short(value) for value in values])
        panels[-1].minorticks_off()
    panels[-1].set_xlabel(parameter)
    if named:
        legend_above(figure, *panels[0].get_legend_handles_labels())
    return Plate(
        f"sensitivity-{slug(sweep.name)}",
        f"Sensitivity to {parameter}: {sweep.name}",
        f"Time and energy over {parameter}, all else equal; "
        f"{sweep.failed} of {len(sweep.table)} design points failed.",
        figure,
        done[[parameter, *lines, "total_cycles", "seconds", "energy_j", "utilisation"]],
    )
