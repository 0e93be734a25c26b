"""How the masks move while a network trains: sparse architecture divergence over the epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reports.figures.plate import Plate
from reports.figures.style import FULL, INK, legend_above, new_figure, series_colours
from reports.labels import method_label

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    ("sad_{}", "SAD to the epoch before\n(% of weights)"),
    ("sad_{}_from_start", "SAD to the start\n(% of weights)"),
)
_STYLES: dict[str, Literal["-", "--"]] = {"forward": "-", "backward": "--"}


def draw_divergence(table: pd.DataFrame, pattern: str) -> Plate:
    """One row of panels per network, mean over the seeds, for one pattern.

    Args:
        table: a row per network, method, pattern and epoch with the columns of
            `reports.training_study.divergence_table`.
        pattern: the one that is drawn; the data holds all of them.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    networks = list(dict.fromkeys(table["network"]))
    methods = [
        name
        for name in dict.fromkeys(table["method"])
        if table[table["method"] == name]["sad_backward"].notna().any()
    ]
    colours = series_colours(methods)
    figure = new_figure(FULL, 0.5 + 1.9 * len(networks))
    grid = figure.subplots(len(networks), len(_COLUMNS), squeeze=False)
    for row, network in enumerate(networks):
        for column, (name, label) in enumerate(_COLUMNS):
            axes = grid[row, column]
            for method in methods:
                part = table[
                    (table["network"] == network)
                    & (table["method"] == method)
                    & (table["pattern"] == pattern)
                ]
                for direction, style in _STYLES.items():
                    values = part[name.format(direction)]
                    if values.notna().any():
                        axes.plot(
                            part["epoch"], values * 100, color=colours[method], linestyle=style
                        )
            axes.set_title(network if column == 0 else "")
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines = [Line2D([], [], color=colours[name]) for name in methods]
    kinds = [Line2D([], [], color=INK, linestyle=style) for style in _STYLES.values()]
    labels = [method_label(name) for name in methods]
    legend_above(figure, [*lines, *kinds], [*labels, "FF masks", "BP masks"])
    caption = (
        f"Sparse architecture divergence at {pattern}: the fraction of the weights with a mask "
        "that are kept in one of two masks and not in the other, mean over the seeds. Left: "
        "between the ends of neighbouring epochs. Right: to the masks of the first step. A method "
        "whose FF and BP read one mask has one line under the other; SDGP has no mask of weights."
    )
    return Plate("divergence", "Sparse architecture divergence", caption, figure, table, wide=True)
