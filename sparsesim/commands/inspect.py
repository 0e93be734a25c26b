"""The verb `inspect`: what is in a trace file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, print_table, say

_LAYERS_SHOWN = 4
_LINES_SHOWN = 12


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
        for line in _lines(key, value):
            say(line)
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


def _lines(key: str, value: Any) -> list[str]:
    """A field of the provenance; layers of which the same is said share a line."""
    if isinstance(value, list):
        return [f"{key}: {item}" for item in value]
    if isinstance(value, dict) and all(isinstance(item, dict) for item in value.values()):
        value = {layer: _words(numbers) for layer, numbers in value.items()}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        return [f"{key}: {value}"] if value != {} else []
    same: dict[str, list[str]] = {}
    for layer, words in value.items():
        same.setdefault(words, []).append(layer)
    lines = []
    for words, layers in list(same.items())[:_LINES_SHOWN]:
        more = f" and {len(layers) - _LAYERS_SHOWN} more" if len(layers) > _LAYERS_SHOWN else ""
        lines.append(f"{key}: {words}: {', '.join(layers[:_LAYERS_SHOWN])}{more}")
    if len(same) > _LINES_SHOWN:
        lines.append(f"{key}: {len(same) - _LINES_SHOWN} more lines (--json shows all)")
    return lines


def _words(numbers: dict[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


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
