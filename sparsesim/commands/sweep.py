"""The verb `sweep`: every point of a design space."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import say
from sparsesim.errors import CheckError

INTERRUPTED = 130


@click.command()
@click.argument("space", type=click.Path(path_type=Path), metavar="SPACE.yaml")
@options.out_folder
@click.option("--jobs", type=int, help="Points under way at a time.  [default: the usable cores]")
@click.option("--scheduler", metavar="ADDRESS", help="Of a dask.distributed scheduler.")
@click.option("--resume", is_flag=True, help="Continue in an existing folder.")
def sweep(space: Path, out: Path, jobs: int | None, scheduler: str | None, resume: bool) -> None:
    """Simulate every point of a design space.

    Results go to a store (sweep.sqlite) and a table (sweep.csv) in a folder.
    """
    from sparsesim.commands.terminal import console
    from sparsesim.sweep import progress_bar
    from sparsesim.sweep import sweep as run_sweep
    from workloads.extract import extract

    shown = console()
    try:
        with progress_bar(shown) if shown.is_terminal else nullcontext() as progress:
            outcome = run_sweep(
                space,
                out,
                jobs=jobs,
                scheduler=scheduler,
                resume=resume,
                extract=extract,
                progress=progress,
            )
    except KeyboardInterrupt:
        if not shown.is_terminal:
            raise
        raise click.exceptions.Exit(INTERRUPTED) from None  # the bar has said what is stored
    say(
        f"{outcome.csv}: {outcome.total} points, {outcome.computed} simulated, "
        f"{outcome.reused} reused, {outcome.failed} failed"
    )
    if outcome.failed:
        raise CheckError(f"{outcome.failed} of {outcome.total} points failed; see {outcome.csv}")
