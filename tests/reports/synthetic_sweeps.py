"""Sweep folders written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def point(seconds: float | None, energy_j: float | None, **values: Any) -> dict[str, Any]:
    """A row of `sweep.csv`; a point without seconds failed."""
    done = seconds is not None
    return {
        "status": "done" if done else "failed",
        "error": "" if done else "rows: must be at least 1",
        "trace_name": "net",
        "trace_prune": "none",
        "trace_method": "dense",
        "machine_name": "sat",
        "pes": 1024 if done else None,
        "on_chip_bytes": 2**20 if done else None,
        "clock_hz": 2e8 if done else None,
        "total_cycles": seconds * 2e8 if seconds is not None else None,
        "seconds": seconds,
        "energy_j": energy_j,
        "macs_dense": 10 if done else None,
        "macs_effective": 10 if done else None,
        "dram_bytes": 10 if done else None,
        "utilisation": 0.5 if done else None,
        **values,
    }


def sweep_folder(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write `rows`; as in a real sweep, the parameters stand left of `point_id`."""
    path.mkdir()
    (path / "sweep.sqlite").touch()
    table = pd.DataFrame(rows)
    table["point_id"] = [f"{index:04x}" for index in range(len(table))]
    results = list(point(None, None))
    swept = [column for column in table.columns if column not in (*results, "point_id")]
    table[[*swept, "point_id", *results]].to_csv(path / "sweep.csv", index=False)
    return path
