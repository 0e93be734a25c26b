"""Options that several verbs share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
force = click.option("--force", is_flag=True, help="Replace an earlier output.")
seed = click.option("--seed", type=int, default=0, show_default=True, help="Of all random choices.")
out_folder = click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), required=True, help="Folder to make."
)
#: Machine keys to set, as the mapping `overrides`.
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    callback=lambda _context, _option, texts: parsed_overrides(texts),
    help="Set a key of the machine; may be repeated.",
)


def parsed_overrides(texts: tuple[str, ...], option: str = "--set") -> dict[str, Any]:
    """The mapping that repeated ``--set key=value`` (or another `option`) spell.

    Raises:
        InputError: one is not ``key=value``, or a key is set twice.
    """
    if not texts:
        return {}
    from sparsesim.errors import InputError
    from sparsesim.machines.parameters import parse_override

    found: dict[str, Any] = {}
    for text in texts:
        key, value = parse_override(text, option)
        if key in found:
            raise InputError(f"{option} {key}: given twice")
        found[key] = value
    return found
