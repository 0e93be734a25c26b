"""The verb `synth`: cells and clock of an emitted unit, by open synthesis tools."""

from __future__ import annotations

from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, say


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=click.Choice(["ecp5", "xcup"]),
    default="ecp5",
    show_default=True,
    help="Lattice ECP5 (cells and Fmax) or AMD UltraScale+ (cells).",
)
@click.option("--no-route", is_flag=True, help="Leave out place and route.")
@options.as_json
def synth(folder: Path, target: str, no_route: bool, as_json: bool) -> None:
    """Synthesise a unit that `emit` wrote: LUT, FF, DSP, BRAM, Fmax."""
    from typing import cast

    from hw.synth import Target, synthesise

    found = synthesise(folder, cast(Target, target), route=not no_route, progress=say)
    if as_json:
        print_json(found)
    speed = "no Fmax" if found["fmax_hz"] is None else f"{found['fmax_hz'] / 1e6:.1f} MHz"
    say(
        f"{found['unit']} on {target} ({found['device']}): {found['lut']:g} LUT, "
        f"{found['ff']:g} FF, {found['dsp']:g} DSP, {found['bram']:g} BRAM, {speed}"
    )
