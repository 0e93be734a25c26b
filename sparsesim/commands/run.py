"""The verb `run`: a trace on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, progress_bar, say


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--machine", required=True, metavar="NAME|FILE.yaml", help="Machine to run on.")
@options.overrides
@click.option(
    "--fidelity",
    type=click.Choice(["fast", "stepped"]),
    default="fast",
    show_default=True,
    help="Skip ahead, or step every clock; the cycles are equal.",
)
@click.option("--check", is_flag=True, help="Check the numbers against references; exit 1 if off.")
@click.option("--pad", is_flag=True, help="Pad masks that break the machine's pattern.")
@options.seed
@options.out_folder
@options.force
@options.as_json
def run(
    trace: Path,
    machine: str,
    overrides: dict[str, Any],
    fidelity: Literal["fast", "stepped"],
    check: bool,
    pad: bool,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Simulate a trace on a machine and write the results."""
    from sparsesim.atomic_output import refuse_existing

    refuse_existing(out, force)
    from sparsesim.results import write_folder
    from sparsesim.simulate import run as simulate

    with progress_bar("operators") as progress:
        result = simulate(
            trace,
            machine,
            overrides=overrides,
            fidelity=fidelity,
            check=check,
            pad=pad,
            seed=seed,
            progress=progress,
        )
    write_folder(result, out, force)
    say(
        f"{out}: {result.total_cycles} cycles, {result.seconds:.6g} s, {result.energy_j:.6g} J "
        f"({sum(not op.is_share for op in result.operators)} operators, {fidelity})"
    )
    if result.padding is not None:
        say(
            f"padded: {result.padding['layers_padded']} layers, "
            f"{result.padding['cost']:.3g} x the products of their weights"
        )
    if result.check is not None:
        facts = {key: value for key, value in result.check.items() if not isinstance(value, dict)}
        say("checked: " + ", ".join(f"{key} {value}" for key, value in facts.items()))
    if as_json:
        print_json(result.summary())
