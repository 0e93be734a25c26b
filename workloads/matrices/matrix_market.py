"""Matrix Market files (.mtx, .mtx.gz)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparsesim.trace import CsrMatrix


def read_matrix_market(path: Path, on_message: Callable[[str], None]) -> CsrMatrix:
    """Read a Matrix Market file."""
    from scipy.io import mmread
    from scipy.sparse import coo_array

    on_message(f"reading {path}")
    return CsrMatrix.from_scipy(coo_array(mmread(path)))
