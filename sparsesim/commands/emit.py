"""The verb `emit`: a unit of a machine as Verilog-2005, with wrapper, testbench and constraints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import say, spinner


@click.command()
@click.argument("machine", metavar="NAME|FILE.yaml")
@click.option(
    "--unit",
    show_default="the main engine: stce, spu or hash_bank",
    help="Unit of the machine's family.",
)
@options.overrides
@options.out_folder
@options.force
def emit(machine: str, unit: str | None, overrides: dict[str, Any], out: Path, force: bool) -> None:
    """Write a unit as Verilog with wrapper and testbench."""
    from hw.emit import emit as write

    with spinner("converting to Verilog"):
        written = write(machine, out, unit=unit, overrides=overrides, force=force)
    for path in written:
        say(str(path))
