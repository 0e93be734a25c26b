"""Runs side by side, each against the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.runs import Run, load_runs
from sparsesim.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def compare(folders: Sequence[Path]) -> pd.DataFrame:
    """Totals of several runs and their ratios to the first.

    Returns:
        One row per run: folder, network, variant, phase, batch, machine, fidelity, total_cycles,
        seconds, energy_j, utilisation, macs_dense, macs_effective, dram_bytes; baseline (the
        folder of the first run), speedup (seconds of the baseline over seconds of the run),
        energy_ratio (joules of the baseline over joules of the run), both None for other work, and
        warning (why the ratios may mislead, else empty).

    Raises:
        InputError: no folder, a folder given twice, or one that is not a sound result folder.
    """
    import pandas as pd

    if not folders:
        raise InputError("compare: give at least one result folder")
    runs = load_runs(folders)
    first = runs[0]
    rows = [
        {
            "folder": str(run.path),
            "network": run.network,
            "variant": run.variant,
            "phase": run.stated("phase"),
            "batch": run.stated("batch"),
            "machine": run.machine.name,
            "fidelity": run.summary.fidelity,
            "total_cycles": run.summary.total_cycles,
            "seconds": run.summary.seconds,
            "energy_j": run.summary.energy_j,
            "utilisation": run.utilisation,
            "macs_dense": run.summary.macs_dense,
            "macs_effective": run.summary.macs_effective,
            "dram_bytes": run.summary.dram_bytes,
            "baseline": str(first.path),
            "speedup": _ratio(first.summary.seconds, run.summary.seconds, first, run),
            "energy_ratio": _ratio(first.summary.energy_j, run.summary.energy_j, first, run),
            "warning": warning(first, run),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _ratio(baseline: float, value: float, first: Run, run: Run) -> float | None:
    return baseline / value if value and first.work == run.work else None


def differences(first: Run, second: Run) -> list[str]:
    """The respects in which two runs differ, each as ``name: first -> second``.

    Pruning pattern and method count as one respect. On two settings of one family of machine
    each parameter is a respect; two families are one.
    """
    found = []
    for name, before, after in (
        ("network", first.source, second.source),
        ("pruning", first.variant, second.variant),
        ("phase", first.stated("phase"), second.stated("phase")),
        ("batch", first.stated("batch"), second.stated("batch")),
        ("fidelity", first.summary.fidelity, second.summary.fidelity),
    ):
        if before != after:
            found.append(f"{name}: {before} -> {after}")
    mine, theirs = first.machine, second.machine
    if mine.family != theirs.family:
        found.append(f"machine: {mine.name} -> {theirs.name}")
    elif mine.sha256 != theirs.sha256:
        names = dict.fromkeys([*mine.parameters, *theirs.parameters])
        found.extend(
            f"{name}: {mine.parameters.get(name)} -> {theirs.parameters.get(name)}"
            for name in names
            if mine.parameters.get(name) != theirs.parameters.get(name)
        )
    if mine.simulator_version != theirs.simulator_version:
        found.append(f"simulator: {mine.simulator_version} -> {theirs.simulator_version}")
    return found


def warning(first: Run, second: Run) -> str:
    """Why the ratios of two runs may mislead: other work, or more than one thing changed."""
    found = differences(first, second)
    if first.work != second.work:
        return "not the same network, phase and batch: no speedup (" + "; ".join(found) + ")"
    if len(found) > 1:
        return f"differs from the baseline in {len(found)} respects (" + "; ".join(found) + ")"
    return ""
