"""Cycles and speedup per layer and training phase, dense beside sparse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.figures.plate import Plate
from reports.figures.style import FAINT, FULL, INK, MARKERS, PHASE_COLOURS, legend_above, new_figure
from reports.labels import slug
from reports.runs import Pair
from reports.units import TIMES, axis_prefix

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: More layers than this are not readable on a page: the smallest are drawn as one bar.
MAX_LAYERS = 80
ALL_PHASES = "all"


def layer_table(pair: Pair) -> pd.DataFrame:
    """GEMM cycles of both runs, one row per layer and phase plus one per layer over all phases.

    Layers stand in the order in which the dense run starts them. A layer or phase that only one
    run has keeps a missing value in the other's column.
    """
    import pandas as pd

    def cycles(table: pd.DataFrame) -> pd.Series:
        by_phase = table.groupby(["layer", "phase"])["cycles"].sum()
        whole = by_phase.groupby("layer").sum()
        whole.index = pd.MultiIndex.from_product([whole.index, [ALL_PHASES]])
        return pd.concat([by_phase, whole])

    dense, sparse = pair.dense.macs, pair.sparse.macs
    table = pd.DataFrame({"dense_cycles": cycles(dense), "sparse_cycles": cycles(sparse)})
    table["speedup"] = table["dense_cycles"] / table["sparse_cycles"]
    table.index.names = ["layer", "phase"]
    table = table.reset_index()
    starts = pd.concat([dense.sort_values("start_cycle"), sparse.sort_values("start_cycle")])
    order = {layer: place for place, layer in enumerate(dict.fromkeys(starts["layer"]))}
    phases = {phase: place for place, phase in enumerate((*PHASE_COLOURS, ALL_PHASES))}
    table["_layer"] = table["layer"].map(order)
    table["_phase"] = table["phase"].map(phases)
    table = table.sort_values(["_layer", "_phase"])
    return table.drop(columns=["_layer", "_phase"]).reset_index(drop=True)


def readable(table: pd.DataFrame, limit: int = MAX_LAYERS) -> pd.DataFrame:
    """The table with all but the `limit` - 1 longest layers (dense cycles) summed into one row."""
    import pandas as pd

    whole = table[table["phase"] == ALL_PHASES]
    if len(whole) <= limit:
        return table
    longest = set(whole.nlargest(limit - 1, "dense_cycles")["layer"])
    kept = table["layer"].isin(longest)
    rest = table[~kept].groupby("phase", sort=False)[["dense_cycles", "sparse_cycles"]].sum()
    rest["speedup"] = rest["dense_cycles"] / rest["sparse_cycles"]
    rest = rest.reset_index()
    rest.insert(0, "layer", f"{len(whole) - len(longest)} other layers")
    return pd.concat([table[kept], rest], ignore_index=True)


def draw_layers(pair: Pair) -> Plate:
    """Left: stacked cycles, dense above sparse; right: speedup of each phase and of the layer."""
    full = layer_table(pair)
    table = readable(full)
    layers = list(dict.fromkeys(table["layer"]))
    phases = [phase for phase in PHASE_COLOURS if (table["phase"] == phase).any()]
    place = {layer: -index for index, layer in enumerate(layers)}
    figure = new_figure(FULL, max(1.6, 0.75 + 0.155 * len(layers)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    whole = table[table["phase"] == ALL_PHASES]
    divisor, prefix = axis_prefix(whole[["dense_cycles", "sparse_cycles"]].max().max())
    for column, offset, alpha in (("dense_cycles", 0.2, 0.45), ("sparse_cycles", -0.2, 1.0)):
        start = dict.fromkeys(layers, 0.0)
        for phase in phases:
            part = table[table["phase"] == phase].dropna(subset=[column])
            values = part[column] / divisor
            left.barh(
                [place[layer] + offset for layer in part["layer"]],
                values,
                0.36,
                left=[start[layer] for layer in part["layer"]],
                color=PHASE_COLOURS[phase],
                alpha=alpha,
            )
            for layer, value in zip(part["layer"], values, strict=True):
                start[layer] += value
    left.set_yticks(list(place.values()), layers)
    left.tick_params(axis="y", length=0)
    left.set_ylim(0.4 - len(layers), 0.6)
    left.set_xlabel(f"GEMM cycles ({prefix})" if prefix else "GEMM cycles")
    shift = (0.22, 0.0, -0.22, 0.0)  # equal speedups must not hide each other
    for index, phase in enumerate(phases):
        part = table[table["phase"] == phase]
        right.plot(
            part["speedup"],
            part["layer"].map(place) + (shift[index] if len(phases) > 1 else 0.0),
            linestyle="",
            marker=MARKERS[index],
            markersize=3.2,
            markeredgewidth=0,
            color=PHASE_COLOURS[phase],
            zorder=3,
        )
    if len(phases) > 1:
        right.plot(
            whole["speedup"], whole["layer"].map(place), linestyle="", marker="|", markersize=7,
            markeredgewidth=1.4, color=INK, zorder=2,
        )  # fmt: skip
    right.axvline(1.0, color=FAINT, linewidth=0.6)
    right.grid(axis="y")
    right.set_xlim(0, 1.08 * table["speedup"].max())
    right.tick_params(axis="y", length=0, labelleft=False)
    right.set_xlabel(f"speedup over dense ({TIMES})")
    _legend(figure, phases)
    caption = (
        f"GEMM cycles of {pair.sparse.label} per layer. Left: upper, pale bar dense; lower bar "
        "sparse. Right: ratio of the cycles of the same layer and phase."
    )
    if len(table) < len(full):
        caption += f" The {MAX_LAYERS - 1} longest layers are drawn, the data file lists all."
    return Plate(
        f"layers-{slug(pair.sparse.label)}",
        f"Speedup per layer: {pair.sparse.label}",
        caption,
        figure,
        full,
        wide=True,
    )


def _legend(figure: Figure, phases: list[str]) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def marker(shape: str, colour: str, size: float, edge: float) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker=shape, color=colour, markersize=size, markeredgewidth=edge
        )

    handles: list[Any] = [
        (Patch(color=PHASE_COLOURS[phase]), marker(MARKERS[index], PHASE_COLOURS[phase], 3.2, 0))
        for index, phase in enumerate(phases)
    ]
    labels = list(phases)
    if len(phases) > 1:
        handles.append(marker("|", INK, 7, 1.4))
        labels.append("whole layer")
    handles += [Patch(color=FAINT, alpha=0.45), Patch(color=FAINT)]
    labels += ["upper bar: dense", "lower bar: sparse"]
    together = {tuple: HandlerTuple(ndivide=None, pad=0.6)}
    legend_above(figure, handles, labels, handler_map=together)
