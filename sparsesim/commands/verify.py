"""The verb `verify`: the hardware equals its cycle models and references."""

from __future__ import annotations

from typing import Any, Literal

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, progress_bar, say
from sparsesim.errors import CheckError


@click.command()
@click.argument("machine", metavar="NAME|FILE.yaml")
@click.option("--unit", help="Unit of the machine's family.  [default: all]")
@click.option("--cases", type=int, default=200, show_default=True, help="Stimuli per unit.")
@click.option(
    "--simulator",
    type=click.Choice(["verilator", "lanes", "amaranth"]),
    help="Of the hardware.  [default: verilator where it is installed]",
)
@click.option(
    "--whole", is_flag=True, help="Compare an array at the machine's own size (in lanes)."
)
@options.seed
@options.overrides
@options.as_json
def verify(
    machine: str,
    unit: str | None,
    cases: int,
    simulator: Literal["verilator", "lanes", "amaranth"] | None,
    whole: bool,
    seed: int,
    overrides: dict[str, Any],
    as_json: bool,
) -> None:
    """Compare the RTL of a machine with its cycle models."""
    from hw.verify import verify as compare

    with progress_bar("cases") as progress:
        found = compare(
            machine,
            unit=unit,
            cases=cases,
            seed=seed,
            overrides=overrides,
            progress=progress,
            simulator=simulator,
            whole=whole,
        )
    if as_json:
        print_json(found)
    for name, outcome in found.items():
        say(
            f"{name}: {outcome['cases']} cases, {outcome['cycles_compared']} cycles compared, "
            f"{outcome['mismatches']} mismatches ({outcome['simulator']})"
        )
    wrong = {name: outcome for name, outcome in found.items() if outcome["mismatches"]}
    if wrong:
        name, outcome = next(iter(wrong.items()))
        first = outcome["first_mismatch"]
        raise CheckError(
            f"unit {name}: case {first['case']}, clock {first['clock']}, port {first['port']}: "
            + ", ".join(f"{model} {value}" for model, value in first["values"].items())
        )
