"""Roofline: every GEMM operator against the roofs of its machine.

Model: S. Williams, A. Waterman, D. Patterson, "Roofline", Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reports.figures.plate import Plate
from reports.figures.style import (
    FULL,
    INK,
    MARKERS,
    PHASE_COLOURS,
    legend_above,
    log_scale,
    new_figure,
)
from reports.labels import slug
from reports.runs import DRAM_COLUMNS, MAC_KINDS, Run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OTHER_PHASE = "#777777"


def roofline_table(group: Sequence[Run]) -> pd.DataFrame:
    """One row per operator: bytes, intensity and rates; intensity only where MACs are done.

    `intensity_macs_per_byte` is effective MACs per DRAM byte (missing without DRAM traffic),
    `macs_per_cycle` effective MACs per clock, `bytes_per_cycle` DRAM bytes per clock.
    """
    import pandas as pd

    parts = []
    for run in group:
        operators = run.operators
        moved = operators[list(DRAM_COLUMNS)].sum(axis=1)
        cycles = operators["cycles"].where(operators["cycles"] > 0)
        is_mac = operators["kind"].isin(MAC_KINDS)
        parts.append(
            pd.DataFrame(
                {
                    "run": run.label,
                    "operator": operators["operator"],
                    "phase": operators["phase"],
                    "kind": operators["kind"],
                    "cycles": operators["cycles"],
                    "dram_bytes": moved,
                    "macs_effective": operators["macs_effective"],
                    "intensity_macs_per_byte": (
                        operators["macs_effective"] / moved.where(moved > 0)
                    ).where(is_mac),
                    "macs_per_cycle": (operators["macs_effective"] / cycles).where(is_mac),
                    "bytes_per_cycle": moved / cycles,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def dense_equivalent_factor(run: Run) -> float:
    """Largest ratio of dense to effective MACs of a run's operators: 4 for 2:8."""
    macs = run.macs[run.macs["macs_effective"] > 0]
    ratios = macs["macs_dense"] / macs["macs_effective"]
    return float(ratios.max()) if len(ratios) else 1.0


def draw_roofline(group: Sequence[Run]) -> Plate:
    """Runs of one network on one machine: GEMMs under the roofs, element-wise work beside."""
    table = roofline_table(group)
    machine, clock = group[0].machine, group[0].summary.clock_hz
    peak, bandwidth = machine.peak_macs_per_cycle, machine.dram_bytes_per_cycle
    gemms = table.dropna(subset=["intensity_macs_per_byte", "macs_per_cycle"])
    gemms = gemms[gemms["macs_per_cycle"] > 0]
    other = table[~table["kind"].isin(MAC_KINDS)].dropna(subset=["bytes_per_cycle"])
    other = other[other["dram_bytes"] > 0]
    figure = new_figure(FULL, 3.0)
    figure.get_layout_engine().set(wspace=0.05)  # type: ignore[union-attr,call-arg]
    if len(other):
        axes, beside = figure.subplots(1, 2, width_ratios=[2.2, 1])
        _elementwise(beside, other, group, bandwidth)
    else:
        axes = figure.subplots()
    _roofs(axes, gemms, peak, bandwidth)
    longest = table["cycles"].max()
    for index, run in enumerate(group):
        for phase, part in gemms[gemms["run"] == run.label].groupby("phase"):
            colour = PHASE_COLOURS.get(str(phase), _OTHER_PHASE)
            axes.scatter(
                part["intensity_macs_per_byte"],
                part["macs_per_cycle"],
                s=6 + 50 * part["cycles"] / longest,
                marker=MARKERS[index % len(MARKERS)],
                facecolors="none" if run.is_dense else colour,
                edgecolors=colour,
                linewidths=0.7,
                alpha=0.8,
                zorder=3,
            )
    axes.set_xlabel("effective MACs per DRAM byte")
    axes.set_ylabel("effective MACs per clock")
    giga = clock / 1e9
    second = axes.secondary_yaxis(
        "right", functions=(lambda macs: macs * giga, lambda gmacs: gmacs / giga)
    )
    second.spines["right"].set_visible(True)
    second.set_ylabel("effective GMAC/s")
    low, high = axes.get_ylim()
    log_scale(second.yaxis, low * giga, high * giga)
    _legend(figure, group, table)
    densest = max(dense_equivalent_factor(run) for run in group)
    caption = (
        f"Every GEMM operator of {group[0].network} on {machine.name}; area of a marker: its "
        f"cycles. Roofs: {peak:g} MACs and {bandwidth:.4g} DRAM bytes per clock "
        f"({peak * giga:.4g} GMAC/s, {bandwidth * giga:.4g} GB/s). All MACs are effective ones, "
        "so the roof is the same for dense and sparse operators"
    )
    if densest > 1:
        caption += (
            f"; in dense-equivalent MACs the roof of the sparsest operator is {densest:.3g} "
            f"times as high ({peak * densest:g} per clock)"
        )
    caption += "."
    if len(group) > 1:
        caption += " Operators that pruning leaves as they are cover their dense marker."
    if len(other):
        caption += " Right: element-wise operators do no MACs; their DRAM rate against the roof."
    title = f"Roofline: {group[0].network}"
    return Plate(f"roofline-{slug(group[0].label)}", title, caption, figure, table, wide=True)


def _roofs(axes: Axes, gemms: pd.DataFrame, peak: float, bandwidth: float) -> None:
    ridge = peak / bandwidth
    low = min(gemms["intensity_macs_per_byte"].min(), ridge) if len(gemms) else ridge
    high = max(gemms["intensity_macs_per_byte"].max(), ridge) if len(gemms) else ridge
    intensity = np.array([low / 2.5, ridge, high * 2.5])
    axes.plot(intensity, np.minimum(peak, bandwidth * intensity), color=INK, linewidth=1.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(intensity[0], intensity[-1])
    floor = gemms["macs_per_cycle"].min() if len(gemms) else peak / 10
    axes.set_ylim(min(floor, bandwidth * low) / 2, peak * 2)
    log_scale(axes.xaxis, *axes.get_xlim())
    log_scale(axes.yaxis, *axes.get_ylim())
    axes.annotate(
        f"{peak:g} MACs/clock", (intensity[-1], peak), (-3, 3), textcoords="offset points",
        ha="right", va="bottom", fontsize=6.5,
    )  # fmt: skip
    lifted = 1.1 * bandwidth
    start = intensity[0] * (intensity[-1] / intensity[0]) ** 0.03  # clear of the axis
    axes.text(
        start,
        lifted * start,
        f"{bandwidth:.4g} B/clock",
        rotation=math.degrees(math.atan(lifted)),  # in data coordinates, turned with the axes
        rotation_mode="anchor",
        transform_rotates_text=True,
        fontsize=6.5,
    )


def _elementwise(axes: Axes, other: pd.DataFrame, group: Sequence[Run], bandwidth: float) -> None:
    for index, run in enumerate(group):
        for phase, part in other[other["run"] == run.label].groupby("phase"):
            colour = PHASE_COLOURS.get(str(phase), _OTHER_PHASE)
            axes.scatter(
                part["dram_bytes"],
                part["bytes_per_cycle"],
                s=8,
                marker=MARKERS[index % len(MARKERS)],
                facecolors="none" if run.is_dense else colour,
                edgecolors=colour,
                linewidths=0.7,
                alpha=0.8,
                zorder=3,
            )
    axes.axhline(bandwidth, color=INK, linewidth=1.0)
    axes.annotate(
        f"{bandwidth:.4g} B/clock", (1, bandwidth), (-1, 2), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", va="bottom", fontsize=6.5,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(other["dram_bytes"].min() / 2, other["dram_bytes"].max() * 2)
    log_scale(axes.xaxis, *axes.get_xlim())
    axes.set_ylim(0, 1.12 * max(bandwidth, other["bytes_per_cycle"].max()))
    axes.set_xlabel("DRAM bytes of the operator")
    axes.set_ylabel("element-wise: DRAM bytes per clock")


def _legend(figure: Figure, group: Sequence[Run], table: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", marker=MARKERS[index % len(MARKERS)], color=INK, markersize=4,
            markerfacecolor="none" if run.is_dense else INK, markeredgewidth=0.7, label=run.label,
        )
        for index, run in enumerate(group)
    ]  # fmt: skip
    phases = [phase for phase in PHASE_COLOURS if (table["phase"] == phase).any()]
    if len(phases) > 1:
        handles += [
            Line2D([], [], linestyle="", marker="s", color=PHASE_COLOURS[phase], label=phase)
            for phase in phases
        ]
    legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
