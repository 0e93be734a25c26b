"""``python -m reports.s4_study -o DIR``: the S4 study."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import progress_bar, say
from sparsesim.errors import SparseSimError


@click.command()
@options.out_folder
@options.force
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
def main(out: Path, force: bool, jobs: int) -> None:
    """Simulate the S4 study and draw it."""
    from reports.s4_study.study import study
    from sparsesim.atomic_output import refuse_existing

    refuse_existing(out, force)
    with progress_bar("networks") as progress:
        study(out, jobs=jobs, force=force, progress=progress)
    say(f"{out}: study.md, results.csv, reproduction.csv, figures")


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except SparseSimError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
