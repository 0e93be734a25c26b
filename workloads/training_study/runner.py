"""Carries experiments out and keeps them in a folder: what is there already is not done again."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from sparsesim.atomic_output import atomic_file
from sparsesim.errors import InputError
from workloads.training_study.experiments import Experiment, carry_out, settings_of

RUNS = "runs"


def record_file(folder: Path, experiment: Experiment) -> Path:
    """Where the record of an experiment stands."""
    return folder / RUNS / f"{experiment.name}.json"


def weight_file(folder: Path, experiment: Experiment) -> Path:
    """Where the trained weights of an experiment stand, a state dict."""
    return folder / RUNS / f"{experiment.name}.pt"


def finished(folder: Path, experiment: Experiment, epochs: int | None) -> dict[str, Any] | None:
    """The record of an experiment that was carried out before; None if it was not.

    Raises:
        InputError: it was trained with other settings.
    """
    path = record_file(folder, experiment)
    if not path.exists() or not weight_file(folder, experiment).exists():
        return None
    try:
        record = json.loads(path.read_text())
        settings = record["settings"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: is not the record of a training run; remove it") from None
    wanted = settings_of(experiment.network, epochs)
    different = [key for key in wanted if settings.get(key) != wanted[key]]
    if different:
        key = different[0]
        raise InputError(
            f"{path}: was trained with {key} {settings.get(key)}, now {wanted[key]}; choose "
            "another folder"
        )
    found: dict[str, Any] = record
    return found


def train_one(folder: Path, experiment: Experiment, epochs: int | None) -> dict[str, Any]:
    """Train one and write its weights, then its record; returns the record."""
    import torch

    torch.set_num_threads(1)
    record, state = carry_out(experiment, epochs)
    with atomic_file(weight_file(folder, experiment)) as path:
        torch.save(state, path)
    with atomic_file(record_file(folder, experiment)) as path:
        path.write_text(json.dumps(record, indent=1) + "\n")
    return record


def train_all(
    folder: Path,
    wanted: Sequence[Experiment],
    *,
    epochs: int | None = None,
    jobs: int = 1,
    progress: Callable[[int, int, str], None] = lambda _done, _all, _name: None,
) -> list[dict[str, Any]]:
    """Carry out what is missing of `wanted`, on `jobs` processes of one thread each.

    Args:
        progress: called with (experiments done, all of them, name of the last one).

    Returns:
        The records, in the order of `wanted`.

    Raises:
        InputError: `folder` cannot be written, or holds runs of other settings.
    """
    try:
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    records = {experiment: finished(folder, experiment, epochs) for experiment in wanted}
    missing = [experiment for experiment, record in records.items() if record is None]
    done = len(wanted) - len(missing)
    progress(done, len(wanted), "")

    def finish(experiment: Experiment, record: dict[str, Any]) -> None:
        nonlocal done
        records[experiment] = record
        done += 1
        progress(done, len(wanted), experiment.name)

    if jobs == 1 or len(missing) < 2:
        for experiment in missing:
            finish(experiment, train_one(folder, experiment, epochs))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            futures = {pool.submit(train_one, folder, one, epochs): one for one in missing}
            try:
                for future in as_completed(futures):
                    finish(futures[future], future.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [record for record in records.values() if record is not None]
