"""From a matrix to the trace of its product with another, or of a network on its graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix, Trace
from sparsesim.validation import shown
from workloads.matrices.gnn import KINDS, gnn_trace, parse_gnn
from workloads.matrices.product_trace import spgemm_trace, spmm_trace
from workloads.matrices.source import is_matrix_source, load_matrix

MAX_DENSE_COLUMNS = 2**20
_TIMES = "a matrix (B.mtx), transpose, dense:COLS, or gcn: or sage: and widths (gcn:1433,16,7)"


def extract_product(
    source: str,
    times: str | None,
    prune: str,
    checkpoint: Path | None,
    on_message: Callable[[str], None],
) -> Trace:
    """The trace of A x A, or of what `times` says, for the matrix `source`.

    Args:
        times: None, ``transpose``, ``dense:COLS``, the source of another matrix, or a graph
            network as ``gcn:1433,16,7``.
        prune, checkpoint: of networks; refused here unless "none" and None.

    Raises:
        InputError: a source that is no matrix, or shapes that do not fit.
    """
    if prune not in ("none", "detect"):
        raise InputError(f"--prune {shown(prune)}: {source} is a matrix, it is taken as it is")
    if checkpoint is not None:
        raise InputError(f"--checkpoint {checkpoint}: {source} is a matrix, it has no weights")
    check_times(times)
    a = load_matrix(source, on_message)
    name = Path(source).name
    about = {"source": name, "times": times or "itself", "a": _about(a)}
    if times is None:
        return spgemm_trace(name, a, provenance=about)
    if times == "transpose":
        return spgemm_trace(name, a, a.transpose(), b_name="A^T", provenance=about)
    if times.startswith("dense:"):
        return spmm_trace(name, a, dense_columns(times), provenance=about)
    if _is_gnn(times):
        return gnn_trace(name, a, parse_gnn(times), provenance=about)
    b = load_matrix(times, on_message)
    return spgemm_trace(name, a, b, provenance={**about, "b": _about(b)})


def check_times(times: str | None) -> None:
    """Refuse a ``--times`` that is neither a word nor the source of a matrix."""
    if times is None or times == "transpose" or is_matrix_source(times):
        return
    if times.startswith("dense:"):
        dense_columns(times)
        return
    if _is_gnn(times):
        parse_gnn(times)
        return
    raise InputError(f"--times {shown(times)}: must be {_TIMES}")


def _is_gnn(times: str) -> bool:
    return times.partition(":")[0] in KINDS


def dense_columns(times: str) -> int:
    """COLS of ``dense:COLS``."""
    word = times.removeprefix("dense:")
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= MAX_DENSE_COLUMNS):
        raise InputError(
            f"--times {shown(times)}: dense:COLS needs a whole number from 1 to {MAX_DENSE_COLUMNS}"
        )
    return int(word)


def _about(matrix: CsrMatrix) -> dict[str, int]:
    return {
        "rows": matrix.rows,
        "columns": matrix.columns,
        "nonzeros": matrix.nnz,
        "stored_zeros": int((matrix.values == 0).sum()),
        "empty_rows": int((matrix.row_lengths() == 0).sum()),
        "longest_row": int(matrix.row_lengths().max()),
    }
