"""Entries of a matrix in any order, and how they become compressed sparse rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix, StoredMatrix
from sparsesim.trace.matrices import MAX_EXTENT, check_values
from sparsesim.validation import one_line


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Entries (row, column, value), counted from 0 and in range; duplicates allowed."""

    rows: int
    columns: int
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


def check_size(where: str, rows: int, columns: int, entries: int) -> None:
    """Refuse a matrix that has no element, or that is too large to hold.

    Raises:
        InputError: in one line that starts with `where`.
    """
    for what, extent in (("rows", rows), ("columns", columns)):
        if not 1 <= extent <= MAX_EXTENT:
            raise InputError(f"{where}: {extent} {what}, must be 1 to {MAX_EXTENT}")
    try:
        StoredMatrix(tensor="A", rows=rows, columns=columns, nnz=min(entries, rows * columns))
    except ValidationError as error:
        raise one_line(where, error) from None


def from_coordinates(
    name: str, entries: Coordinates, on_message: Callable[[str], None]
) -> CsrMatrix:
    """Compressed sparse rows; duplicates are summed, which `on_message` is told."""
    from scipy.sparse import coo_array

    index = np.int32
    matrix = CsrMatrix.from_scipy(
        coo_array(
            (entries.value, (entries.row.astype(index), entries.column.astype(index))),
            shape=(entries.rows, entries.columns),
        )
    )
    if matrix.nnz < entries.value.size:
        on_message(f"{name}: {entries.value.size - matrix.nnz} duplicate entries summed")
        check_values(f"{name}: duplicates summed", matrix.values, 0)
    return matrix
