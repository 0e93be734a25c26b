"""Larger and sparser against smaller and denser: rates at equal board power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import FAINT, FULL, INK, legend_above, log_scale, new_figure

if TYPE_CHECKING:
    import pandas as pd


def draw_board_power(table: pd.DataFrame, watts: float) -> Plate:
    """One panel per family of sizes.

    Args:
        table: rows by family, network, machine and sparsity: parameters, samples_per_second,
            board_watts. Rates are scaled to `watts`.
    """
    from matplotlib import colormaps

    families = [family for family in dict.fromkeys(table["family"]) if family]
    data = table[table["family"] != ""].copy()
    data["samples_per_second_at_equal_power"] = (
        data["samples_per_second"] * watts / data["board_watts"]
    )
    figure = new_figure(FULL, 3.0)
    axes = figure.subplots(1, len(families), squeeze=False)[0]
    sparsities = sorted(data[data["machine"] == "s4"]["sparsity"].unique())
    shades = colormaps["viridis_r"]
    for panel, family in zip(axes, families, strict=True):
        rows = data[data["family"] == family].sort_values("parameters")
        names = list(dict.fromkeys(name.split(",")[0] for name in rows["network"]))
        places = range(len(names))
        rate = {
            key: part["samples_per_second_at_equal_power"]
            for key, part in rows.groupby(["machine", "sparsity"])
        }
        for number, sparsity in enumerate(sparsities):
            panel.plot(
                places, rate["s4", sparsity], marker="o",
                color=shades(0.12 + 0.85 * number / max(1, len(sparsities) - 1)),
                label=f"S4 {sparsity}x" if sparsity > 1 else "S4 dense",
            )  # fmt: skip
        for key, label, style in ((("t4", 1), "T4 dense", "--"), (("a100", 2), "A100 2:4", ":")):
            panel.plot(
                places, rate[key], color=INK, linestyle=style, marker="s", markersize=3,
                label=label,
            )  # fmt: skip
        smallest = rate["s4", 1].iloc[0]
        panel.axhline(
            smallest, color=FAINT, linestyle="--", linewidth=0.8, zorder=0,
            label="smallest network, dense, on S4",
        )  # fmt: skip
        panel.set_yscale("log")
        log_scale(panel.yaxis, *panel.get_ylim())
        panel.set_xticks(range(len(names)), names)
        panel.set_title(family)
        panel.grid(True)
        panel.set_xlabel("network, by parameters before pruning")
    axes[0].set_ylabel(f"samples per second at {watts:g} W")
    legend_above(figure, *axes[0].get_legend_handles_labels())
    return Plate(
        "s4-equal-power",
        f"Larger and sparser against smaller and denser, at {watts:g} W of board power",
        "Rates scaled to the same board power. Above the dashed line a pruned network runs faster "
        "than the smallest of its family with dense weights on the same machine. Accuracy is not "
        "simulated.",
        figure,
        data,
        wide=True,
    )
