"""Sparse matrices with their values, as operands of SpGEMM and SpMM: compressed sparse rows.

A stored element is a nonzero, whatever its value: explicit zeros are kept and count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.errors import InputError
from sparsesim.validation import Record

if TYPE_CHECKING:
    import scipy.sparse

Indptr = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
Values = npt.NDArray[np.float64]

#: A larger matrix is refused when a trace is read: its file could be small and fill the memory.
MAX_MATRIX_BYTES = 2**32
MAX_EXTENT = 2**31 - 1
#: Arrays of a matrix as they stand in a trace file: name and type of an element.
ARRAYS = (("indptr", "<i8"), ("indices", "<i4"), ("values", "<f8"))
_READ_AT_ONCE = 2**20

Extent = Annotated[int, Field(ge=1, le=MAX_EXTENT)]


class StoredMatrix(Record):
    """The record of a matrix in a manifest; its arrays are members of the trace file."""

    tensor: str = Field(min_length=1, pattern=r"^[^/\\\x00]+$")
    rows: Extent
    columns: Extent
    nnz: int = Field(ge=0)

    @model_validator(mode="after")
    def _can_be_held(self) -> StoredMatrix:
        if sum(self.array_bytes) > MAX_MATRIX_BYTES:
            raise ValueError(
                f"matrix {self.tensor!r} of {self.rows} x {self.columns} with {self.nnz} nonzeros "
                f"takes more than {MAX_MATRIX_BYTES} bytes"
            )
        if self.nnz > self.rows * self.columns:
            raise ValueError(
                f"matrix {self.tensor!r} of {self.rows} x {self.columns} cannot hold {self.nnz} "
                "nonzeros"
            )
        return self

    @property
    def array_bytes(self) -> tuple[int, int, int]:
        """Bytes of `indptr`, `indices` and `values`."""
        return 8 * (self.rows + 1), 4 * self.nnz, 8 * self.nnz


@dataclass(frozen=True, eq=False)
class CsrMatrix:
    """A sparse matrix in compressed sparse rows.

    Attributes:
        rows, columns: extents, at least 1.
        indptr: (rows + 1,) int64; row r is stored at ``indptr[r]:indptr[r + 1]``.
        indices: (nnz,) int32 columns, rising within a row, without duplicates.
        values: (nnz,) float64, finite. A stored zero is a nonzero like any other.
    """

    rows: int
    columns: int
    indptr: Indptr
    indices: Indices
    values: Values

    @property
    def nnz(self) -> int:
        """Stored elements."""
        return int(self.indices.size)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def density(self) -> float:
        return self.nnz / (self.rows * self.columns)

    def row_lengths(self) -> Indptr:
        """(rows,) stored elements of each row."""
        return np.diff(self.indptr)

    @classmethod
    def from_scipy(cls, matrix: Any) -> CsrMatrix:
        """Convert any SciPy sparse matrix or array; duplicates are summed, zeros are kept."""
        csr = matrix.tocsr(copy=True)
        csr.sum_duplicates()  # sorts each row, too
        rows, columns = (int(extent) for extent in csr.shape)
        return cls(
            rows,
            columns,
            csr.indptr.astype(np.int64, copy=False),
            csr.indices.astype(np.int32, copy=False),
            csr.data.astype(np.float64, copy=False),
        )

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The same matrix as a SciPy array that shares `values`."""
        from scipy.sparse import csr_array

        found = csr_array((self.values, self.indices, self.indptr), shape=self.shape)
        found.has_canonical_format = True
        return found

    def transpose(self) -> CsrMatrix:
        """The transposed matrix, in compressed sparse rows again."""
        return CsrMatrix.from_scipy(self.to_scipy().T)

    def record(self, tensor: str) -> StoredMatrix:
        """The manifest's record of this matrix as the tensor `tensor`."""
        return StoredMatrix(tensor=tensor, rows=self.rows, columns=self.columns, nnz=self.nnz)

    def arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """The arrays of `ARRAYS`, by name, as they are stored."""
        for name, dtype in ARRAYS:
            yield name, np.ascontiguousarray(getattr(self, name), dtype=dtype)

    def check(self, where: str) -> None:
        """Check that the arrays are what the attributes promise.

        Raises:
            InputError: `where` and the first row at which they are not.
        """
        for (name, dtype), size in zip(ARRAYS, (self.rows + 1, self.nnz, self.nnz), strict=True):
            array = getattr(self, name)
            if array.shape != (size,) or array.dtype != np.dtype(dtype):
                raise InputError(
                    f"{where}: {name} is {array.dtype} of shape {array.shape}, must be "
                    f"{np.dtype(dtype)} of shape ({size},)"
                )
        check_indptr(where, self.indptr, self.nnz)
        check_indices(where, self.indptr, self.indices, self.columns, 0)
        check_values(where, self.values, 0)


def partial_products(a: CsrMatrix, b: CsrMatrix) -> int:
    """Multiplications of A x B: over stored a(i, k), the length of row k of B.

    A is (m, k) and B is (k, n); stored zeros count.
    """
    return int(b.row_lengths()[a.indices].sum(dtype=np.int64))


def check_indptr(where: str, indptr: Indptr, nnz: int) -> None:
    """Refuse row pointers that do not rise from 0 to `nnz`."""
    if indptr[0] != 0 or indptr[-1] != nnz:
        raise InputError(
            f"{where}: indptr runs from {indptr[0]} to {indptr[-1]}, must run from 0 to {nnz}"
        )
    falls = np.flatnonzero(indptr[1:] < indptr[:-1])
    if falls.size:
        raise InputError(f"{where}: indptr falls after row {falls[0]}")


def check_indices(where: str, indptr: Indptr, part: Indices, columns: int, start: int) -> None:
    """Refuse columns out of range, out of order or twice in a row.

    `part` holds the elements `start` to ``start + part.size``; where it is not the first part,
    it begins one element early.
    """
    wrong = np.flatnonzero((part < 0) | (part >= columns))
    if wrong.size:
        raise InputError(
            f"{where}: row {_row(indptr, start + int(wrong[0]))} has column {part[wrong[0]]}, "
            f"must be 0 to {columns - 1}"
        )
    falls = part[1:] <= part[:-1]
    first, last = np.searchsorted(indptr, [start + 1, start + part.size])
    begins = indptr[first:last] - start - 1  # a row may begin with any column
    falls[begins[begins < falls.size]] = False
    if falls.any():
        element = start + int(falls.argmax()) + 1
        raise InputError(
            f"{where}: columns of row {_row(indptr, element)} do not rise (sorted, each once)"
        )


def check_values(where: str, part: Values, start: int) -> None:
    """Refuse values that are not finite; `part` begins with element `start`."""
    finite = np.isfinite(part)
    if not finite.all():
        element = int(finite.argmin())
        raise InputError(f"{where}: value {start + element} is {part[element]}, must be finite")


def _row(indptr: Indptr, element: int) -> int:
    return int(np.searchsorted(indptr, element, side="right")) - 1


def read_matrix(where: str, record: StoredMatrix, members: dict[str, IO[bytes]]) -> CsrMatrix:
    """Read the arrays of `record`, checking each part before the next is unpacked.

    Args:
        members: an open file for each name of `ARRAYS`, of the size that `record` needs.

    Raises:
        InputError: `where`, and what is wrong.
    """
    indptr = np.empty(record.rows + 1, np.int64)
    for start, part in _parts(members["indptr"], "<i8", indptr.size):
        indptr[start : start + part.size] = part
        if (part > record.nnz).any():
            raise InputError(f"{where}: indptr exceeds the {record.nnz} elements")
    check_indptr(where, indptr, record.nnz)
    indices = np.empty(record.nnz, np.int32)
    for start, part in _parts(members["indices"], "<i4", indices.size):
        indices[start : start + part.size] = part
        early = max(0, start - 1)
        check_indices(where, indptr, indices[early : start + part.size], record.columns, early)
    values = np.empty(record.nnz, np.float64)
    for start, part in _parts(members["values"], "<f8", values.size):
        values[start : start + part.size] = part
        check_values(where, part, start)
    return CsrMatrix(record.rows, record.columns, indptr, indices, values)


def _parts(member: IO[bytes], dtype: str, count: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    size = np.dtype(dtype).itemsize
    for start in range(0, count, _READ_AT_ONCE):
        length = min(_READ_AT_ONCE, count - start)
        data = member.read(size * length)
        if len(data) != size * length:
            raise EOFError("a matrix ends early")
        yield start, np.frombuffer(data, dtype=dtype)
    member.read(1)  # at the end, where the checksum is compared
