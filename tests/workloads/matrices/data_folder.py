"""Real matrices beside the checkout, and what their README says of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[4] / "shared" / "data"
FOLDER = Path(os.environ.get("SPARSESIM_DATA", _BESIDE)) / "matrices"
ORACLES = FOLDER.parents[1] / "oracles"

needs_matrices = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no real matrices in {FOLDER} (set SPARSESIM_DATA)"
)


def table(heading: str) -> dict[str, list[str]]:
    """Rows, by their first cell, of the first table after a line that starts with `heading`."""
    rows: dict[str, list[str]] = {}
    readme = FOLDER / "README.md"
    if not readme.is_file():
        return rows
    text = readme.read_text().split(heading, 1)[1]
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if line.startswith("|") and cells[0] != "name" and not cells[0].startswith("-"):
            rows[cells[0]] = cells[1:]
        elif rows and not line.startswith("|"):
            break
    return rows


MATRICES = table("# Real sparse matrices")
PRODUCTS = table("## Product oracles")
