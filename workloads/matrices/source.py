"""A matrix by name: the form of the source decides how it is read or generated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sparsesim.trace import CsrMatrix
from workloads.matrices.matrix_market import read_matrix_market

_READERS: dict[str, Callable[[Path, Callable[[str], None]], CsrMatrix]] = {
    ".mtx": read_matrix_market,
    ".mtx.gz": read_matrix_market,
}


def suffix_of(source: str) -> str:
    """The ending of a file's name in lower case, ``.gz`` with what it compresses."""
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def is_matrix_source(source: str) -> bool:
    """Whether `source` names a sparse matrix rather than a network."""
    return suffix_of(source) in _READERS


def load_matrix(source: str, on_message: Callable[[str], None]) -> CsrMatrix:
    """Read or generate the matrix `source`, for which `is_matrix_source` holds.

    Args:
        on_message: called with each line a user should see.

    Raises:
        InputError: the file cannot be read or is no such matrix, in one line.
    """
    return _READERS[suffix_of(source)](Path(source), on_message)
