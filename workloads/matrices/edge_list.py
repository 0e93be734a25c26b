"""Edge lists: lines ``from to`` or ``from to weight``, separated by blanks or commas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from workloads.matrices.coordinates import Coordinates, check_size, from_coordinates
from workloads.matrices.text_file import line_of_entry, parse_table, read_text

COMMENTS = (b"#", b"%")


def read_edge_list(path: Path, on_message: Callable[[str], None]) -> CsrMatrix:
    """The adjacency matrix of a directed graph: an edge from u to v is the element (u, v).

    Nodes are whole numbers from 0; there are as many as the largest says. Without weights, edges
    are 1. An edge that is listed twice is summed. Lines that start with # or % are comments.

    Raises:
        InputError: no edges, or a line that is none; names the line.
    """
    body = read_text(path)
    if any(mark in body for mark in COMMENTS):
        body = b"\n".join(
            b"" if line.lstrip().startswith(COMMENTS) else line for line in body.split(b"\n")
        )
    first = body.lstrip().partition(b"\n")[0]
    if not first:
        raise InputError(f"{path}: holds no edges")
    delimiter = "," if b"," in first else None
    weighted = len(first.split(delimiter.encode() if delimiter else None)) > 2
    fields = [("from", "i8"), ("to", "i8"), *([("weight", "f8")] if weighted else [])]
    table = parse_table(path, body, 1, np.dtype(fields), delimiter)
    nodes = 1 + max(int(table["from"].max()), int(table["to"].max()))
    for name in ("from", "to"):
        if (table[name] < 0).any():
            entry = int((table[name] < 0).argmax())
            raise InputError(
                f"{path}: line {line_of_entry(body, 1, entry)}: node {table[name][entry]}, "
                "nodes are numbered from 0"
            )
    check_size(str(path), nodes, nodes, table.size)
    weight = np.ascontiguousarray(table["weight"]) if weighted else np.ones(table.size)
    if not np.isfinite(weight).all():
        entry = int(np.isfinite(weight).argmin())
        raise InputError(
            f"{path}: line {line_of_entry(body, 1, entry)}: weight {weight[entry]} must be finite"
        )
    entries = Coordinates(nodes, nodes, table["from"], table["to"], weight)
    return from_coordinates(path.name, entries, on_message)
