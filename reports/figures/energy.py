"""Energy by component, dense beside sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.stacked_bars import stacked_bars
from reports.figures.style import ENERGY_COLOURS, ENERGY_NAMES
from reports.runs import ENERGY_COLUMNS, Run
from reports.units import axis_prefix, quantity
from sparsesim.results import ENERGY_COMPONENTS

if TYPE_CHECKING:
    import pandas as pd


def energy_table(groups: Sequence[Sequence[Run]]) -> pd.DataFrame:
    """Joules by component, one row per run; `reference_j`: the dense run's, else its own."""
    import pandas as pd

    rows = []
    for group in groups:
        dense = next((run for run in group if run.is_dense), None)
        for run in group:
            parts = 1e-12 * run.operators[list(ENERGY_COLUMNS)].sum()
            reference = dense or run
            rows.append(
                {
                    "run": run.label,
                    "reference": reference.label,
                    **{
                        f"{part}_j": parts[column]
                        for part, column in zip(ENERGY_COMPONENTS, ENERGY_COLUMNS, strict=True)
                    },
                    "total_j": parts.sum(),
                    "reference_j": 1e-12
                    * reference.operators[list(ENERGY_COLUMNS)].to_numpy().sum(),
                }
            )
    return pd.DataFrame(rows)


def draw_energy(groups: Sequence[Sequence[Run]]) -> Plate:
    """One bar per run, runs of the same network and machine together."""
    table = energy_table(groups)
    columns = [f"{part}_j" for part in ENERGY_COLOURS]
    joules = table[columns].set_axis(list(ENERGY_COLOURS), axis=1).set_axis(table["run"], axis=0)
    reference = table["reference_j"].where(table["reference_j"] > 0, 1.0).to_numpy()
    divisor, prefix = axis_prefix(joules.sum(axis=1).max())
    starts, row = set(), 0
    for group in groups:
        starts.add(row)
        row += len(group)
    figure = stacked_bars(
        joules / divisor,
        100.0 * joules.div(reference, axis=0),
        ENERGY_COLOURS,
        ENERGY_NAMES,
        (f"energy ({prefix}J)", "energy, share of the dense run (%)"),
        starts,
        [quantity(total, "J") for total in table["total_j"]],
    )
    caption = (
        "Left: absolute, with the total. Right: in percent of the dense run of the same network "
        "on the same machine, or of the run itself where no dense run is given. Dynamic energy "
        "only: events times a constant energy per action (DRAM: per byte), no static or leakage "
        "power."
    )
    return Plate("energy", "Energy by component", caption, figure, table, wide=True)
