"""The verb `compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, print_table, say

_COLUMNS = (
    "folder",
    "network",
    "variant",
    "phase",
    "batch",
    "machine",
    "total_cycles",
    "seconds",
    "energy_j",
    "utilisation",
    "dram_bytes",
    "speedup",
    "energy_ratio",
)


@click.command()
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR..."
)
@options.as_json
def compare(folders: tuple[Path, ...], as_json: bool) -> None:
    """Show runs side by side, with ratios to the first."""
    from reports.comparison import compare as compared

    table = compared(folders)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    if as_json:
        print_json({"runs": rows})
        return
    numeric = set(table.select_dtypes("number").columns)
    print_table(
        f"{len(rows)} runs; ratios are to {rows[0]['baseline']}",
        [(column, column in numeric) for column in _COLUMNS],
        [[_shown(row[column]) for column in _COLUMNS] for row in rows],
    )
    for row in rows:
        if row["warning"]:
            say(f"{row['folder']}: {row['warning']}")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
