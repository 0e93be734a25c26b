"""Where a training step's cycles go and what N:M does to each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.figures.plate import Plate
from reports.figures.style import (
    FAINT,
    FULL,
    INK,
    PHASE_COLOURS,
    ink_on,
    legend_above,
    new_figure,
)
from reports.sat_study.cases import title
from reports.sat_study.tables import PARTS, STEP
from reports.units import TIMES

if TYPE_CHECKING:
    import pandas as pd

PART_COLOURS = {
    **{part: PHASE_COLOURS[part] for part in ("FF", "BP", "WU")},
    "update": "#CCBB44",
    "selection": "#AA3377",
    "element-wise": "#BBBBBB",
}
#: Equal speedups must not hide each other.
_SHIFT = {"FF": 0.24, "BP": 0.12, "WU": -0.12, "element-wise": -0.24, STEP: 0.0}
#: A segment of at least this many percent of the dense step has room for its number.
_LABELLED = 6.0


def draw_parts(table: pd.DataFrame, networks: Sequence[str], variant: str) -> Plate:
    """Left: cycles by part in percent of the dense step; right: speedup of each part."""
    figure = new_figure(FULL, 0.75 + 0.42 * len(networks))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    indexed = table.set_index(["network", "part"])
    for row, network in enumerate(networks):
        whole = indexed["dense_cycles"][network, STEP]
        for column, offset in (("dense_cycles", 0.21), ("sparse_cycles", -0.21)):
            start = 0.0
            for part in PARTS:
                share = 100.0 * indexed[column][network, part] / whole
                if not share:
                    continue
                left.barh(-row + offset, share, 0.38, left=start, color=PART_COLOURS[part])
                if share >= _LABELLED:
                    left.text(
                        start + share / 2, -row + offset, f"{share:.0f}", ha="center",
                        va="center_baseline", fontsize=6, color=ink_on(PART_COLOURS[part]),
                    )  # fmt: skip
                start += share
        for part in _SHIFT:
            step = part == STEP
            right.plot(
                [indexed["speedup"][network, part]],
                [-row + _SHIFT[part]],
                linestyle="",
                marker="|" if step else "o",
                markersize=9 if step else 4,
                markeredgewidth=1.4 if step else 0,
                color=INK if step else PART_COLOURS[part],
                zorder=3,
            )
    left.set_yticks([-row for row in range(len(networks))], [title(name) for name in networks])
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0, labelleft=False)
    left.set_xlabel("cycles of the operators (% of the dense step)")
    right.set_xlabel(f"speedup over dense ({TIMES})")
    right.axvline(1.0, color=FAINT, linewidth=0.6)
    right.set_xlim(left=0)
    right.grid(axis="y")
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    present = [part for part in PARTS if table[table["part"] == part]["dense_cycles"].any()]
    handles: list[Any] = [Patch(color=PART_COLOURS[part]) for part in present]
    labels = [f"GEMM {part}" if part in PHASE_COLOURS else part for part in present]
    handles.append(
        Line2D([], [], linestyle="", marker="|", color=INK, markersize=9, markeredgewidth=1.4)
    )
    labels.append("whole step")
    legend_above(figure, handles, labels)
    return Plate(
        "parts",
        "Parts of a training step",
        f"Upper bar dense, lower bar {variant}. Engines may work at the same time, so that the "
        "bars may add up to more than the step. Update and selection follow each other on other "
        "engines than the array.",
        figure,
        table,
        wide=True,
    )
