"""The table of a sweep: one row per grid point, in the order of the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sparsesim.area import AREA_COLUMNS
from sparsesim.atomic_output import atomic_file
from sparsesim.sweep.evaluation import RESULT_COLUMNS, Point

CSV = "sweep.csv"


def write_csv(path: Path, points: Sequence[Point], rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Write swept parameters, identity, status, results and area of `points`; atomic.

    Args:
        rows: the stored rows by point id.

    Raises:
        InputError: `path` cannot be written.
    """
    import pandas as pd

    table = pd.DataFrame([_row(point, rows[point.point_id]) for point in points])
    # Nullable integers, so that a failed point does not turn a column of counts into floats.
    kinds = RESULT_COLUMNS | AREA_COLUMNS
    counts = {name: "Int64" for name, kind in kinds.items() if kind is int and name in table}
    with atomic_file(path) as temporary:
        table.astype(counts).to_csv(temporary, index=False)


def _row(point: Point, stored: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        **point.parameters,
        "point_id": point.point_id,
        "status": stored["status"],
        "error": stored["error"],
        "trace_name": point.trace_name,
        "trace_prune": point.trace_prune,
        "trace_method": point.trace_method,
        "machine_name": point.machine.name,
    }
    # A swept parameter (clock_hz) that is also a result is known even where the point failed.
    row |= {name: stored[name] for name in RESULT_COLUMNS if name not in row}
    return row | point.area
