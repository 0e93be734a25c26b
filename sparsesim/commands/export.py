"""The verb `export`: a trace for another simulator."""

from __future__ import annotations

from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import say


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "to",
    required=True,
    metavar="FORMAT",
    help="scalesim-gemm, scalesim-conv (topology CSV) or timeloop (problem YAML, a folder).",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; for timeloop, folder to make.",
)
@options.force
def export(file: Path, to: str, out: Path, force: bool) -> None:
    """Write the products of a trace for another simulator."""
    from workloads.exports.export import export as write

    written = write(file, out, to=to, force=force, on_message=say)
    say(f"{out}: {written} products as {to}")
