"""The verb `inspect`: what is in a trace file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, print_table, say


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def inspect(file: Path, as_json: bool) -> None:
    """Show the operators of a trace.

    Shapes, patterns, dependencies, and densities as measured in the masks.
    """
    from sparsesim.trace import load
    from sparsesim.trace.summary import summarize

    trace = load(file)
    summary = summarize(trace)
    if as_json:
        manifest = trace.manifest.model_dump(mode="json", by_alias=True)
        print_json({**manifest, "summary": summary})
        return
    for key, value in trace.manifest.provenance.items():
        say(f"{key}: {value}")
    rows = [_row(row) for row in summary["operators"]]
    print_table(
        f"{trace.name}: {len(rows)} operators",
        [
            ("operator", False),
            ("phase", False),
            ("kind", False),
            ("m x n x k", True),
            ("groups", True),
            ("a", False),
            ("b", False),
            ("density a", True),
            ("density b", True),
            ("deps", True),
        ],
        rows,
    )
    say(
        f"{summary['macs_dense']} dense MACs, {summary['macs_nonzero']} of them nonzero; "
        f"{summary['tensor_bytes']} bytes of tensors; sha256 {summary['sha256']}"
    )


def _row(row: dict[str, Any]) -> list[str]:
    shape = row["shape"]
    if row["kind"] in ("gemm", "spgemm"):
        size = f"{shape['m']} x {shape['n']} x {shape['k']}"
        groups = str(shape["groups"])
    else:
        size, groups = f"{shape['elements']} elements", ""
    operands = row.get("operands", {})
    patterns = [operands[side]["pattern"] if operands else row["function"] for side in ("a", "b")]
    densities = [f"{operands[side]['density']:.4g}" if operands else "" for side in ("a", "b")]
    if not operands:
        patterns[1] = ""
    return [
        row["name"],
        row["phase"],
        row["kind"],
        size,
        groups,
        *patterns,
        *densities,
        str(row["deps"]),
    ]
