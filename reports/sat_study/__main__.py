"""``python -m reports.sat_study -o DIR``: the SAT study."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from reports.sat_study.cases import NETWORKS
from reports.sat_study.simulation import Progress
from sparsesim.commands import options
from sparsesim.commands.sweep import INTERRUPTED
from sparsesim.commands.terminal import console, say
from sparsesim.errors import InputError, SparseSimError


@click.command()
@options.out_folder
@click.option("--jobs", type=int, default=2, show_default=True, help="Worker processes.")
@click.option("--batch", type=int, default=128, show_default=True, help="Samples of a step.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    default=NETWORKS,
    metavar="NAME",
    help="Of the catalog; may be repeated.  [default: the five of the paper]",
)
def main(out: Path, jobs: int, batch: int, networks: tuple[str, ...]) -> None:
    """Simulate the SAT study and draw it; continues where an earlier call into DIR stopped."""
    from reports.sat_study.study import study

    try:
        with _progress() as progress:
            outcome = study(out, networks=networks, batch=batch, jobs=jobs, progress=progress)
    except KeyboardInterrupt:
        say("interrupted; the same call continues")
        raise SystemExit(INTERRUPTED) from None
    for stage in outcome.stages:
        made = f", {len(stage.made)} of {len(stage.done)} made" if stage.done else ""
        say(f"{stage.name}: {stage.wall_seconds:.1f} s{made}")
    say(str(outcome.page))
    say(str(outcome.report))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar per activity on stderr, where it is a terminal."""
    from rich import progress

    shown = console()
    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        console=shown,
        disable=not shown.is_terminal,
    )
    tasks: dict[str, progress.TaskID] = {}

    def show(activity: str, done: int, total: int) -> None:
        if done == 0 or activity not in tasks:
            tasks[activity] = bar.add_task(activity, total=total)
        bar.update(tasks[activity], completed=done, total=total)

    with bar:
        yield show


if __name__ == "__main__":
    try:
        main()
    except SparseSimError as error:
        say(f"error: {error}")
        sys.exit(2 if isinstance(error, InputError) else 1)
