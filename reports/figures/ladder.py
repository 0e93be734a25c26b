"""Where the speedup goes: from the operation-count bound down to the predicted speedup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.style import COLUMN, FAINT, INK, legend_above, new_figure
from reports.labels import slug
from reports.papers.published import PublishedSpeedup
from reports.runs import Pair, Run
from reports.units import MINUS, TIMES

if TYPE_CHECKING:
    import pandas as pd

#: Cycles that each rung adds to those of the rung before, over all GEMM operators.
_STALL_RUNGS = (
    ("fill and drain", ("stall_fill_drain_cycles",)),
    ("bank conflicts", ("stall_bank_conflict_cycles",)),
    ("memory", ("stall_memory_cycles",)),
)
_EDGES = (
    "busy_cycles",
    "stall_dependency_cycles",
    "stall_input_cycles",
    "stall_output_cycles",
    "stall_imbalance_cycles",
)


def ladder_table(pair: Pair) -> pd.DataFrame:
    """Rungs from the operation-count bound to the predicted speedup.

    With T the time of a run's GEMM operators in clocks, each rung is T_dense / T_sparse where T
    counts, one after the other: the MACs of the pruned layers alone over the peak MACs per
    clock (a layer is pruned if any of its operators in the sparse run does fewer MACs than
    dense); the MACs of all layers; busy, dependency, input, output and imbalance cycles instead
    of the MACs; fill and drain; bank conflicts; memory; and last the seconds of the whole run,
    with element-wise work and idle clocks. The last rung is the predicted speedup.

    Returns:
        Columns step, dense_cycles, sparse_cycles, speedup, change (from the rung before).
    """
    import pandas as pd

    dense, sparse = pair.dense, pair.sparse
    macs = sparse.macs
    pruned = set(macs[macs["macs_effective"] < macs["macs_dense"]]["layer"])

    def ideal(run: Run, layers: set[str] | None) -> float:
        table = run.macs if layers is None else run.macs[run.macs["layer"].isin(layers)]
        return float(table["macs_effective"].sum() / run.machine.peak_macs_per_cycle)

    def counted(run: Run, columns: Sequence[str]) -> float:
        return float(run.macs[list(columns)].to_numpy().sum())

    rungs = []
    if pruned:
        rungs.append(("pruned layers only", ideal(dense, pruned), ideal(sparse, pruned)))
    rungs.append(("layers left dense", ideal(dense, None), ideal(sparse, None)))
    columns = list(_EDGES)
    rungs.append(("array edges, bubbles", counted(dense, columns), counted(sparse, columns)))
    for name, added in _STALL_RUNGS:
        columns.extend(added)
        rungs.append((name, counted(dense, columns), counted(sparse, columns)))
    rungs.append(
        (
            "element-wise, idle",
            float(dense.summary.total_cycles),
            float(sparse.summary.total_cycles),
        )
    )
    table = pd.DataFrame(rungs, columns=["step", "dense_cycles", "sparse_cycles"])
    table["speedup"] = table["dense_cycles"] / table["sparse_cycles"]
    table.loc[len(table) - 1, "speedup"] = pair.speedup
    table["change"] = table["speedup"].diff()
    return table


def draw_ladder(pair: Pair, published: Sequence[PublishedSpeedup]) -> Plate:
    """A waterfall: the bound, what each effect takes away or gives back, the prediction."""
    table = ladder_table(pair)
    steps = list(table["step"])
    names = [f"bound: {steps[0]}", *steps[1:], "predicted speedup"]
    predicted = table["speedup"].iloc[-1]
    figure = new_figure(COLUMN, 0.75 + 0.21 * len(names))
    axes = figure.subplots()
    ends = [*table["speedup"], predicted]
    for row, end in enumerate(ends):
        whole = row in (0, len(ends) - 1)
        before = 0.0 if whole else ends[row - 1]
        colour = "#4477AA" if whole else "#CCBB44" if end <= before else "#228833"
        axes.barh(-row, end - before, 0.68, left=before, color=colour)
        text = f"{end:.2f}{TIMES}" if whole else _signed(end - before)
        # In a column beside the axes, where no bar or line can cross the numbers.
        axes.annotate(
            text, (1.0, -row), (28, 0), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", ha="right", va="center_baseline", fontsize=6.5,
        )  # fmt: skip
        if row < len(ends) - 1:
            axes.plot([end, end], [-row - 0.34, -row - 0.66], color=FAINT, linewidth=0.6)
    axes.axvline(1.0, color=FAINT, linewidth=0.6, zorder=0)
    for item in published:
        axes.axvline(item.value, color=INK, linewidth=0.8, linestyle=(0, (4, 2)), label=item.label)
    axes.set_yticks([-row for row in range(len(names))], names)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.03 * max([*ends, *(item.value for item in published)]))
    axes.set_xlabel(f"speedup over dense ({TIMES})")
    legend_above(figure, *axes.get_legend_handles_labels())
    caption = (
        f"From the operation-count bound of the pruned layers of {pair.sparse.label} to its "
        "predicted speedup over the dense run. Each step adds one kind of cycles to both runs "
        "and shows the change of their ratio."
    )
    if published:
        caption += " Dashed: " + " ".join(item.caption for item in published)
    return Plate(
        f"ladder-{slug(pair.sparse.label)}",
        f"Where the speedup goes: {pair.sparse.label}",
        caption,
        figure,
        table,
    )


def _signed(change: float) -> str:
    text = f"{abs(change):.2f}"
    sign = "" if float(text) == 0 else "+" if change > 0 else MINUS
    return sign + text
