"""Rows of dots: one dot per network, a tick for their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.style import INK, MARKERS, SERIES_COLOURS
from reports.sat_study.cases import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def network_marks(networks: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Marker and colour of each network, the same in every figure."""
    return {
        network: (MARKERS[index % len(MARKERS)], SERIES_COLOURS[index % len(SERIES_COLOURS)])
        for index, network in enumerate(networks)
    }


def dot_row(
    axes: Axes, at: float, values: Mapping[str, float], marks: Mapping[str, tuple[str, str]]
) -> float:
    """Draw a row of dots at the height `at`; its mean is returned."""
    for network, value in values.items():
        marker, colour = marks[network]
        axes.plot(
            [value], [at], linestyle="", marker=marker, color=colour, markersize=3.6,
            markeredgewidth=0, alpha=0.9, zorder=3,
        )  # fmt: skip
    mean = sum(values.values()) / len(values)
    axes.plot(
        [mean], [at], linestyle="", marker="|", color=INK, markersize=8, markeredgewidth=1.4,
        zorder=4,
    )  # fmt: skip
    return mean


def legend_handles(marks: Mapping[str, tuple[str, str]]) -> tuple[list[Any], list[str]]:
    """Handles and labels of the networks and of the mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=3.6, markeredgewidth=0)
        for marker, colour in marks.values()
    ]
    handles.append(
        Line2D([], [], linestyle="", marker="|", color=INK, markersize=8, markeredgewidth=1.4)
    )
    return handles, [*(title(network) for network in marks), "mean"]


def grouped_rows(groups: Sequence[str]) -> list[float]:
    """Heights of rows, from the top, with a gap where the group changes."""
    places, place = [], 0.0
    for row, group in enumerate(groups):
        place -= 1.0 + (0.55 if row and group != groups[row - 1] else 0.0)
        places.append(place)
    return places


def row_axes(axes: Axes, places: Sequence[float], labels: Sequence[str] | None) -> None:
    """Name the rows (or leave the names to the axes on the left)."""
    if labels is not None:
        axes.set_yticks(list(places), list(labels))
    axes.tick_params(axis="y", length=0, labelleft=labels is not None)
    axes.set_ylim(min(places) - 0.7, max(places) + 0.7)
    axes.grid(axis="y")
