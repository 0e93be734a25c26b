"""The headline speedup on many settings of the machine, by the verb `sweep`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from reports.sat_study.cases import HEADLINE, Case
from reports.sat_study.settings import Setting, write_machine
from reports.sat_study.simulation import Progress, trace_path
from sparsesim.atomic_output import atomic_file
from sparsesim.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MACHINES = "machines"


def swept(
    name: str,
    folder: Path,
    cases: Sequence[Case],
    settings: Sequence[Setting],
    jobs: int,
    progress: Progress,
) -> pd.DataFrame:
    """Simulate `cases` on every setting; points that an earlier call did are kept.

    Args:
        name: of the sweep folder in `folder`.
        cases: of every network the dense and the headline variant, extracted already.

    Returns:
        One row per setting and network: group, label, setting, network, dense_seconds, seconds,
        speedup.

    Raises:
        InputError: a setting is impossible for a trace.
    """
    import sparsesim

    machines = folder / MACHINES
    machines.mkdir(exist_ok=True)
    names = {write_machine(setting, machines).stem: setting for setting in settings}
    if len(names) < len(settings):
        raise InputError(f"{name}: two settings have the same name")
    space = folder / f"{name}.yaml"
    files = {os.path.relpath(trace_path(folder, case), folder): case for case in cases}
    with atomic_file(space) as temporary:
        content = {
            "machine": [f"{MACHINES}/{setting}.yaml" for setting in names],
            "trace": {"files": list(files)},
        }
        temporary.write_text(yaml.safe_dump(content), encoding="utf-8")
    outcome = sparsesim.sweep(
        space,
        folder / name,
        jobs=jobs,
        resume=True,
        progress=lambda tally: progress(f"sweeping {name}", tally.done, tally.total),
    )
    return _speedups(outcome.csv, files, names)


def _speedups(table_file: Path, files: dict[str, Case], names: dict[str, Setting]) -> pd.DataFrame:
    import pandas as pd

    table = pd.read_csv(table_file, keep_default_na=False)
    failed = table[table["status"] != "done"]
    if len(failed):
        first = failed.iloc[0]
        raise InputError(f"{table_file}: {first['machine_name']}: {first['error']}")
    seconds = {
        (str(row.machine_name), files[str(row.trace_file)]): float(str(row.seconds))
        for row in table.itertuples()
    }
    rows = []
    for (setting, case), sparse in seconds.items():
        if case.variant != HEADLINE:
            continue
        dense = seconds[setting, Case(case.network, "dense", "none", case.batch)]
        rows.append(
            {
                "group": names[setting].group,
                "label": names[setting].label,
                "setting": setting,
                "network": case.network,
                "batch": case.batch,
                "dense_seconds": dense,
                "seconds": sparse,
                "speedup": dense / sparse,
            }
        )
    return pd.DataFrame(rows)
