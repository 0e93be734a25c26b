"""A matrix by name: the form of the source decides how it is read or drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparsesim.trace import CsrMatrix
from workloads.matrices.edge_list import read_edge_list
from workloads.matrices.generators import generate, is_generator
from workloads.matrices.graphs import GRAPH_SUFFIXES, read_graph
from workloads.matrices.matrix_market import read_matrix_market
from workloads.matrices.npz_file import read_npz

_READERS: dict[str, Callable[[Path, Callable[[str], None]], CsrMatrix]] = {
    ".mtx": read_matrix_market,
    ".npz": read_npz,
    **dict.fromkeys((".edges", ".edgelist", ".el", ".tsv", ".csv", ".txt"), read_edge_list),
    **dict.fromkeys(GRAPH_SUFFIXES, read_graph),
}
_GZIPPED = (".mtx", ".edges", ".edgelist", ".el", ".tsv", ".csv", ".txt")


def is_matrix_source(source: str) -> bool:
    """Whether `source` names a sparse matrix: by the suffix of a file, or by a generator."""
    return is_generator(source) or _reader(source) is not None


def load_matrix(source: str, on_message: Callable[[str], None]) -> CsrMatrix:
    """Read or draw the matrix `source`, for which `is_matrix_source` holds.

    Args:
        on_message: called with each line a user should see.

    Raises:
        InputError: it cannot be read or is no such matrix, in one line.
    """
    reader = _reader(source)
    return generate(source) if reader is None else reader(Path(source), on_message)


def _reader(source: str) -> Callable[[Path, Callable[[str], None]], CsrMatrix] | None:
    path = Path(source)
    if path.suffix.lower() == ".gz" and Path(path.stem).suffix.lower() in _GZIPPED:
        path = Path(path.stem)
    return _READERS.get(path.suffix.lower())
