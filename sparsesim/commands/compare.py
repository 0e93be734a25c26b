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
#: Said once above the table where all runs agree.
_WHAT_RAN = ("network", "variant", "phase", "batch", "machine")


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
    same = [column for column in _WHAT_RAN if len(rows) > 1 and table[column].nunique() == 1]
    shown = [column for column in _COLUMNS if column not in same]
    common = "".join(f"{column} {rows[0][column]}, " for column in same)
    print_table(
        f"{common}{len(rows)} runs; ratios are to {rows[0]['baseline']}",
        [(column.replace("_", " "), column in numeric) for column in shown],
        [[_shown(row[column]) for column in shown] for row in rows],
    )
    for row in rows:
        if row["warning"]:
            say(f"{row['folder']}: {row['warning']}")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
