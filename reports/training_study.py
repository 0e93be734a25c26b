"""Recipe: train small networks with every method, simulate the training, draw both.

    python -m reports.training_study -o DIR [--seeds 5]

Trains what is missing in DIR, takes the trained masks as traces, simulates one step of each on a
machine, and writes `accuracy.csv`, `divergence.csv` and two figures. A run that was stopped is
taken up again where it was; the digits are a sanity demonstration, not evidence for larger data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparsesim.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from workloads.training_study.experiments import Experiment

NETWORKS = ("digits_cnn", "digits_vit")
METHODS = ("dense", "srste", "sdgp", "sdwp", "bdwp")
PATTERNS = ("2:4", "2:8", "1:8")
ACCURACY, DIVERGENCE, TRACES = "accuracy.csv", "divergence.csv", "traces"

Progress = Callable[[str, int, int, str], None]


def study(
    folder: Path,
    *,
    networks: Sequence[str] = NETWORKS,
    methods: Sequence[str] = METHODS,
    patterns: Sequence[str] = PATTERNS,
    seeds: int = 5,
    epochs: int | None = None,
    machine: str = "sat",
    overrides: dict[str, Any] | None = None,
    jobs: int = 1,
    progress: Progress = lambda _stage, _done, _all, _name: None,
) -> pd.DataFrame:
    """Train, simulate and write tables and figures under `folder`.

    Args:
        epochs: in place of those of each network's own setting.
        jobs: processes that train, one thread each.
        progress: called with (stage, steps done, steps, what was done last).

    Returns:
        The table of `accuracy.csv`; see `results_table`.

    Raises:
        InputError: an unknown network, method or pattern; a folder with runs of other settings.
    """
    import pandas as pd

    from reports.figures.accuracy_time import draw_accuracy_time
    from reports.figures.divergence import draw_divergence
    from reports.figures.style import house_style
    from sparsesim.atomic_output import atomic_file
    from workloads.recipe import METHODS as KNOWN_METHODS
    from workloads.recipe import check_choice, parse_pruning
    from workloads.training_study.experiments import SETTINGS, experiments
    from workloads.training_study.runner import train_all

    for network in networks:
        check_choice("--network", network, tuple(SETTINGS))
    for method in methods:
        check_choice("--method", method, KNOWN_METHODS)
    for pattern in patterns:
        parse_pruning(f"nm:{pattern}")
    if "dense" not in methods:
        raise InputError("--method: dense must be among them, all else is compared with it")
    recipes = tuple(f"nm:{pattern}" for pattern in patterns)
    wanted = experiments(tuple(networks), tuple(methods), recipes, seeds)
    records = train_all(
        folder, wanted, epochs=epochs, jobs=jobs,
        progress=lambda done, count, name: progress("training", done, count, name),
    )  # fmt: skip
    first = [experiment for experiment in wanted if experiment.seed == 0]
    steps = []
    for number, experiment in enumerate(first):
        steps.append(_simulated_step(folder, experiment, machine, overrides))
        progress("simulating", number + 1, len(first), experiment.configuration)
    results, movement = results_table(records, steps), divergence_table(records)
    for name, table in ((ACCURACY, results), (DIVERGENCE, movement)):
        with atomic_file(folder / name) as path:
            table.to_csv(path, index=False)
    with house_style():
        draw_accuracy_time(results).write(folder)
        shown = patterns[len(patterns) // 2]
        if movement["sad_backward"].notna().any():
            draw_divergence(movement, shown).write(folder)
    assert isinstance(results, pd.DataFrame)
    return results


def _simulated_step(
    folder: Path, experiment: Experiment, machine: str, overrides: dict[str, Any] | None
) -> dict[str, Any]:
    """One step of training on the masks of the trained network, simulated."""
    from sparsesim.simulate import run
    from sparsesim.trace import load, save
    from workloads.extract import extract
    from workloads.training_study.experiments import SETTINGS
    from workloads.training_study.runner import weight_file

    weights = weight_file(folder, experiment)
    path = folder / TRACES / f"{experiment.configuration}.trace"
    if path.exists() and path.stat().st_mtime >= weights.stat().st_mtime:
        trace = load(path)
    else:
        path.parent.mkdir(exist_ok=True)
        trace = extract(
            experiment.network,
            prune=experiment.prune,
            method=experiment.method,
            batch=SETTINGS[experiment.network].schedule.batch,
            checkpoint=weights,
        )
        save(trace, path)
    result = run(trace, machine, overrides=overrides)
    return {
        "network": experiment.network,
        "method": experiment.method,
        "prune": experiment.prune,
        "machine": result.machine["name"],
        "step_cycles": result.total_cycles,
        "step_seconds": result.seconds,
        "step_energy_j": result.energy_j,
        "macs_dense": sum(operator.macs_dense for operator in result.operators),
        "macs_effective": sum(operator.macs_effective for operator in result.operators),
    }


def _pattern(prune: str) -> str:
    return "dense" if prune == "none" else prune.removeprefix("nm:")


def results_table(
    records: Sequence[dict[str, Any]], steps: Sequence[dict[str, Any]]
) -> pd.DataFrame:
    """A row per network, method and pattern.

    Columns: network, method, pattern, seeds, accuracy_mean and accuracy_sd (0 to 1; sample
    standard deviation, 0 for one seed), steps, machine, step_cycles, step_seconds, step_energy_j,
    training_seconds, training_energy_j, speedup and energy_saving (dense over this one),
    operation_bound (dense MACs over effective MACs of a step).
    """
    import pandas as pd

    trained = pd.DataFrame(
        [{key: value for key, value in record.items() if key != "epochs"} for record in records]
    )
    keys = ["network", "method", "prune"]
    grouped = trained.groupby(keys, sort=False).agg(
        seeds=("accuracy", "size"),
        accuracy_mean=("accuracy", "mean"),
        accuracy_sd=("accuracy", "std"),
        steps=("steps", "first"),
    )
    table = grouped.reset_index().merge(pd.DataFrame(steps), on=keys)
    table["accuracy_sd"] = table["accuracy_sd"].fillna(0.0)
    table["training_seconds"] = table["steps"] * table["step_seconds"]
    table["training_energy_j"] = table["steps"] * table["step_energy_j"]
    dense = table[table["method"] == "dense"].set_index("network")
    base = table["network"].map(dense["training_seconds"])
    table["speedup"] = base / table["training_seconds"]
    base = table["network"].map(dense["training_energy_j"])
    table["energy_saving"] = base / table["training_energy_j"]
    table["operation_bound"] = table["macs_dense"] / table["macs_effective"]
    table.insert(2, "pattern", table["prune"].map(_pattern))
    return table.drop(columns=["prune", "macs_dense", "macs_effective"])


def divergence_table(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A row per network, method, pattern and epoch: SAD and accuracy, means over the seeds."""
    import pandas as pd

    keys = ["network", "method", "pattern", "epoch"]
    rows = [
        {
            "network": record["network"],
            "method": record["method"],
            "pattern": _pattern(record["prune"]),
            **epoch,
        }
        for record in records
        for epoch in record["epochs"]
    ]
    table = pd.DataFrame(rows)
    measured = [column for column in table.columns if column not in keys]
    # Columns without one number (no masks) would otherwise be objects.
    table[measured] = table[measured].astype("float64")
    return table.groupby(keys, sort=False)[measured].mean().reset_index()


@click.command()
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), required=True,
              help="Folder to make or to take up again.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--network", "networks", multiple=True, help="May be repeated [default: all].")
@click.option("--method", "methods", multiple=True, help="May be repeated [default: the paper's].")
@click.option("--pattern", "patterns", multiple=True, metavar="N:M", help="May be repeated.")
@click.option("--epochs", type=click.IntRange(1), help="In place of each network's own.")
@click.option("--machine", default="sat", show_default=True, help="Name or .yaml file.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
def main(
    out: Path,
    seeds: int,
    networks: tuple[str, ...],
    methods: tuple[str, ...],
    patterns: tuple[str, ...],
    epochs: int | None,
    machine: str,
    jobs: int,
) -> None:
    """Train small networks on digits with every method and simulate their training."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from sparsesim.commands.sweep import INTERRUPTED
    from sparsesim.commands.terminal import console, say

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console()) as bars:
            tasks: dict[str, Any] = {}

            def progress(stage: str, done: int, count: int, name: str) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=count, last="")
                bars.update(tasks[stage], completed=done, last=name)

            study(
                out,
                networks=networks or NETWORKS,
                methods=methods or METHODS,
                patterns=patterns or PATTERNS,
                seeds=seeds,
                epochs=epochs,
                machine=machine,
                jobs=jobs,
                progress=progress,
            )
    except InputError as error:
        say(f"error: {error}")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        say("interrupted; the same call continues")
        raise SystemExit(INTERRUPTED) from None
    say(f"{out}: {ACCURACY}, {DIVERGENCE}, figures/")


if __name__ == "__main__":
    main()
