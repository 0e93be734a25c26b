"""The verb `report`: result and sweep folders as a page with figures."""

from __future__ import annotations

from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import say, spinner


@click.command()
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR..."
)
@options.out_folder
@options.force
def report(folders: tuple[Path, ...], out: Path, force: bool) -> None:
    """Write a page with figures for runs and sweeps."""
    from reports.report import report as write

    with spinner("drawing"):
        page = write(folders, out, force)
    say(str(page))
