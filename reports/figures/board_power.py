"""Larger and sparser against smaller and denser: rates at equal board power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import FULL, INK, legend_above, log_scale, new_figure

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
        rows = data[data["family"] == family]
        for number, sparsity in enumerate(sparsities):
            line = rows[(rows["machine"] == "s4") & (rows["sparsity"] == sparsity)]
            line = line.sort_values("parameters")
            panel.plot(
                line["parameters"] / 1e6, line["samples_per_second_at_equal_power"], marker="o",
                color=shades(0.12 + 0.85 * number / max(1, len(sparsities) - 1)),
                label=f"S4 {sparsity}x" if sparsity > 1 else "S4 dense",
            )  # fmt: skip
        for machine, label, style in (("t4", "T4 dense", "--"), ("a100", "A100 2:4", ":")):
            prune = "nm:2:4" if machine == "a100" else "none"
            line = rows[(rows["machine"] == machine) & (rows["prune"] == prune)]
            line = line.sort_values("parameters")
            panel.plot(
                line["parameters"] / 1e6, line["samples_per_second_at_equal_power"],
                color=INK, linestyle=style, marker="s", markersize=3, label=label,
            )  # fmt: skip
        dense = rows[(rows["machine"] == "s4") & (rows["sparsity"] == 1)]
        sizes = dense.sort_values("parameters")
        log_scale(panel.xaxis, sizes["parameters"].min() / 1e6, sizes["parameters"].max() / 1e6)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(
            (sizes["parameters"] / 1e6).tolist(),
            [name.split(",")[0] for name in sizes["network"]],
            rotation=30, ha="right",
        )  # fmt: skip
        panel.minorticks_off()
        panel.set_title(family)
        panel.grid(True)
        panel.set_xlabel("size (parameters before pruning, log)")
    axes[0].set_ylabel(f"samples per second at {watts:g} W")
    legend_above(figure, *axes[0].get_legend_handles_labels())
    return Plate(
        "s4-equal-power",
        f"Larger and sparser against smaller and denser, at {watts:g} W of board power",
        "Rates scaled to the same board power. A point of a larger, sparser network above a "
        "smaller, denser one runs faster at equal power. Accuracy is not simulated.",
        figure,
        data,
        wide=True,
    )
