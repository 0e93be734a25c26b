"""Sweeps as a report sees them: one table row per design point."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reports.labels import variant_label
from sparsesim.errors import InputError
from sparsesim.results.pareto import pareto_front

if TYPE_CHECKING:
    import pandas as pd

STORE = "sweep.sqlite"
TABLE = "sweep.csv"
#: What a design point costs; PEs stand for area, or the largest array would always win.
COST_COLUMNS = ("seconds", "energy_j", "pes")
#: What a synthesized design costs: the energy model does not know of its cells.
SYNTHESIZED_COST_COLUMNS = ("seconds", "lut")
_TEXT_COLUMNS = ("status", "error", "trace_name", "trace_prune", "trace_method", "machine_name")
_NUMBER_COLUMNS = (
    "pes",
    "on_chip_bytes",
    "clock_hz",
    "total_cycles",
    "seconds",
    "energy_j",
    "macs_dense",
    "macs_effective",
    "dram_bytes",
    "utilisation",
)
_FIRST_RESULT = "point_id"
_KNOWN_COLUMNS = (_FIRST_RESULT, *_TEXT_COLUMNS, *_NUMBER_COLUMNS)
_STATUSES = ("done", "failed")
#: Choices that `trace_name`, the variant or `machine_name` tell already.
_NAMED_OTHERWISE = (
    "machine",
    "machine_name",
    "trace_file",
    "trace_name",
    "trace_source",
    "trace_prune",
    "trace_method",
)
#: Design points of a network that agree in these do the same work.
_WORK_COLUMNS = ("trace_phase", "trace_batch")


@dataclass(frozen=True)
class Sweep:
    """A sweep folder.

    Attributes:
        table: `sweep.csv` with the columns `work` (network, and phase and batch where swept),
            `variant` and `on_front` added; the front is taken over `costs` among the design
            points of the same work.
        parameters: the columns that were swept (those that vary, left of `point_id`).
        costs: seconds, energy and PEs (the stand-in for area); seconds and LUTs where the sweep
            is over synthesized designs.
    """

    path: Path
    table: pd.DataFrame
    parameters: tuple[str, ...]
    costs: tuple[str, ...]

    @property
    def synthesized(self) -> bool:
        """Whether the area of the designs is known from synthesis."""
        return self.costs == SYNTHESIZED_COST_COLUMNS

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def done(self) -> pd.DataFrame:
        """The design points that have a result."""
        return self.table[self.table["status"] == "done"]

    @property
    def failed(self) -> int:
        """How many design points failed."""
        return int((self.table["status"] == "failed").sum())

    @property
    def numeric_parameters(self) -> tuple[str, ...]:
        return tuple(name for name in self.parameters if self.table[name].dtype.kind in "iuf")


def is_sweep_folder(path: Path) -> bool:
    """Whether `path` looks like a sweep folder."""
    return (path / TABLE).is_file() and (path / STORE).is_file()


def load_sweep(path: Path) -> Sweep:
    """Read and check one sweep folder.

    Raises:
        InputError: `sweep.csv` is damaged, has no rows, or a done point without a result.
    """
    import pandas as pd

    path = Path(path)
    where = path / TABLE
    try:
        # Only an empty cell is missing: "none" and "null" are words a parameter may hold.
        table = pd.read_csv(where, keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise InputError(f"{where}: damaged table ({' '.join(str(error).split())})") from None
    for column in _KNOWN_COLUMNS:
        if column not in table.columns:
            raise InputError(f"{where}: column {column!r} is missing")
    if table.empty:
        raise InputError(f"{where}: holds no design points")
    for column in _TEXT_COLUMNS:
        table[column] = table[column].astype(object).fillna("").astype(str)
    unknown = table[~table["status"].isin(_STATUSES)]
    if len(unknown):
        raise InputError(
            f"{where}: status must be done or failed (got {unknown['status'].iloc[0]!r})"
        )
    costs = SYNTHESIZED_COST_COLUMNS if "lut" in table.columns else COST_COLUMNS
    for column in dict.fromkeys((*_NUMBER_COLUMNS, *costs)):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers[table["status"] == "done"].isna().any():
            raise InputError(f"{where}: column {column!r}: a done point has no number")
        table[column] = numbers
    parameters = tuple(
        str(column)
        for column in table.columns[: table.columns.get_loc(_FIRST_RESULT)]
        if column not in _NAMED_OTHERWISE and table[column].nunique() > 1
    )
    phases = table.get("trace_phase", pd.Series("", index=table.index)).astype(str)
    table["variant"] = [
        variant_label(prune, method, phase)
        for prune, method, phase in zip(
            table["trace_prune"], table["trace_method"], phases, strict=True
        )
    ]
    table["work"] = table["trace_name"]
    for column in _WORK_COLUMNS:
        if column in parameters:
            name = column.removeprefix("trace_")
            table["work"] += f", {name} " + table[column].astype(str)
    table["on_front"] = _fronts(table, costs)
    return Sweep(path, table, parameters, costs)


def _fronts(table: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    costs = table[list(columns)].where(table["status"] == "done").to_numpy(np.float64)
    front = np.zeros(len(table), dtype=np.bool_)
    for work in table["work"].unique():
        rows = np.flatnonzero((table["work"] == work).to_numpy())
        front[rows] = pareto_front(costs[rows])
    return front
