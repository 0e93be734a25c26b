"""Matrix Market files (.mtx, plain or gzipped): coordinate and array, real, integer and pattern.

Follows "The Matrix Market exchange formats: initial design" (Boisvert, Pozo, Remington, NISTIR
5935, 1996). SciPy's own reader is faster, but reads past the end of some malformed files and takes
``1D3`` for 1; so lines are parsed by NumPy and everything is checked here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from sparsesim.validation import shown
from workloads.matrices.coordinates import Coordinates, check_size, from_coordinates
from workloads.matrices.text_file import line_of_entry, parse_table, read_text

BANNER = b"%%matrixmarket"
FIELDS = ("real", "double", "integer", "unsigned-integer", "pattern")
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")
#: Banner and comments; more is no header but an attempt to fill the memory.
MAX_HEADER_BYTES = 2**20
_INDEX = [("row", "i8"), ("column", "i8")]


@dataclass(frozen=True)
class _Header:
    """What stands before the entries; `line` is the number of the first line after it."""

    coordinate: bool
    field: str
    symmetry: str
    rows: int
    columns: int
    entries: int
    line: int


def read_matrix_market(path: Path, on_message: Callable[[str], None]) -> CsrMatrix:
    """Read a Matrix Market file.

    Symmetric files are expanded, pattern entries are 1, duplicates are summed, stored zeros of a
    coordinate file stay. An array file stores every element: its zeros are left out.

    Raises:
        InputError: not such a file, complex, truncated, or an entry out of range; names the line.
    """
    text = read_text(path)
    header, start = _header(path, text)
    body = text[start:]
    entries = _coordinate(path, header, body) if header.coordinate else _array(path, header, body)
    if not header.coordinate:
        on_message(f"{path.name}: array format, zeros are not stored")
    return from_coordinates(path.name, _expanded(path, header, body, entries), on_message)


def _header(path: Path, text: bytes) -> tuple[_Header, int]:
    """The header, and where the entries start."""
    banner, end = _line(path, text, 0)
    words = banner.lower().split()
    if not words or words[0] != BANNER.decode():
        raise InputError(f"{path}: not a Matrix Market file (line 1 must start %%MatrixMarket)")
    if len(words) != 5:
        raise InputError(
            f"{path}: line 1: {shown(banner)}, must be %%MatrixMarket matrix FORMAT FIELD SYMMETRY"
        )
    _, kind, form, field, symmetry = words
    _one_of(path, "object", kind, ("matrix",))
    _one_of(path, "format", form, ("coordinate", "array"))
    if field == "complex":
        raise InputError(
            f"{path}: holds complex values; real, integer and pattern matrices are read "
            "(store its real part or its magnitude instead)"
        )
    _one_of(path, "field", field, FIELDS)
    _one_of(path, "symmetry", symmetry, SYMMETRIES)
    if form == "array" and field == "pattern":
        raise InputError(f"{path}: line 1: an array has values, its field cannot be pattern")
    number = 2
    while True:
        line, end = _line(path, text, end)
        if line and not line.startswith("%"):
            break
        number += 1
    sizes = _sizes(path, line, number, 3 if form == "coordinate" else 2)
    entries = sizes[2] if form == "coordinate" else sizes[0] * sizes[1]
    check_size(f"{path}: line {number}", sizes[0], sizes[1], entries)
    if symmetry != "general" and sizes[0] != sizes[1]:
        raise InputError(
            f"{path}: line {number}: {sizes[0]} x {sizes[1]}, a {symmetry} matrix is square"
        )
    if form == "array" and symmetry != "general":
        entries = sizes[0] * (sizes[0] + (-1 if symmetry == "skew-symmetric" else 1)) // 2
    shortest = (4 if form == "coordinate" else 2) + 2 * (field != "pattern" and form != "array")
    if (len(text) - end + 1) // shortest < entries:  # before anything of that size is made
        raise InputError(
            f"{path}: truncated: line {number} promises {entries} entries, "
            f"{len(text) - end} bytes follow"
        )
    header = _Header(form == "coordinate", field, symmetry, sizes[0], sizes[1], entries, number + 1)
    return header, end


def _line(path: Path, text: bytes, start: int) -> tuple[str, int]:
    """The line at `start`, stripped, and where the next one begins."""
    if start >= len(text):
        raise InputError(f"{path}: truncated: the line with the sizes is missing")
    end = text.find(b"\n", start)
    end = len(text) if end < 0 else end
    if end > MAX_HEADER_BYTES:
        raise InputError(f"{path}: header of more than {MAX_HEADER_BYTES} bytes")
    return text[start:end].decode("latin-1").strip(), end + 1


def _one_of(path: Path, what: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        raise InputError(
            f"{path}: line 1: {what} {shown(word)} is not read (allowed: {', '.join(allowed)})"
        )


def _sizes(path: Path, line: str, number: int, count: int) -> list[int]:
    words = line.split()
    if len(words) != count or not all(word.isascii() and word.isdigit() for word in words):
        names = ("rows", "columns", "entries")[:count]
        raise InputError(
            f"{path}: line {number}: sizes {shown(line)}, must be {count} whole numbers "
            f"({', '.join(names)})"
        )
    if max(map(len, words)) > 18:
        raise InputError(f"{path}: line {number}: sizes {shown(line)} are too large")
    return [int(word) for word in words]


def _coordinate(path: Path, header: _Header, body: bytes) -> Coordinates:
    pattern = header.field == "pattern"
    dtype = np.dtype(_INDEX if pattern else [*_INDEX, ("value", "f8")])
    table = parse_table(path, body if pattern else _c_exponents(body), header.line, dtype)
    _check_count(path, header, table.size)
    for name, extent in (("row", header.rows), ("column", header.columns)):
        wrong = (table[name] < 1) | (table[name] > extent)
        if wrong.any():
            entry = int(wrong.argmax())
            raise InputError(
                f"{path}: line {line_of_entry(body, header.line, entry)}: {name} "
                f"{table[name][entry]} is out of range (1 to {extent})"
            )
    values = np.ones(table.size) if pattern else np.ascontiguousarray(table["value"])
    _check_values(path, header, body, values)
    return Coordinates(header.rows, header.columns, table["row"] - 1, table["column"] - 1, values)


def _array(path: Path, header: _Header, body: bytes) -> Coordinates:
    table = parse_table(path, _c_exponents(body), header.line, np.dtype([("value", "f8")]))
    _check_count(path, header, table.size)
    values = np.ascontiguousarray(table["value"])
    _check_values(path, header, body, values)
    kept = np.flatnonzero(values)
    if header.symmetry == "general":
        columns, rows = np.divmod(kept, header.rows)
    else:  # the lower triangle, column by column
        above = header.symmetry == "skew-symmetric"
        first = np.arange(header.columns) + above
        starts = np.concatenate(([0], np.cumsum(header.rows - first)))
        columns = np.searchsorted(starts, kept, side="right") - 1
        rows = kept - starts[columns] + first[columns]
    return Coordinates(header.rows, header.columns, rows, columns, values[kept])


def _c_exponents(body: bytes) -> bytes:
    """Fortran writes 1.0D+00."""
    return body.replace(b"D", b"E").replace(b"d", b"e") if b"D" in body or b"d" in body else body


def _check_count(path: Path, header: _Header, found: int) -> None:
    if found != header.entries:
        what = "truncated: " if found < header.entries else ""
        raise InputError(
            f"{path}: {what}line {header.line - 1} promises {header.entries} entries, "
            f"{found} follow"
        )


def _check_values(
    path: Path, header: _Header, body: bytes, values: npt.NDArray[np.float64]
) -> None:
    whole = header.field in ("integer", "unsigned-integer")
    wrong = ~np.isfinite(values)
    if whole:
        wrong |= values != np.floor(values)
    if wrong.any():
        entry = int(wrong.argmax())
        must = "a whole number" if whole else "finite"
        raise InputError(
            f"{path}: line {line_of_entry(body, header.line, entry)}: value {values[entry]} "
            f"must be {must}"
        )


def _expanded(path: Path, header: _Header, body: bytes, entries: Coordinates) -> Coordinates:
    """`entries` with their mirror images, for a matrix that is not general."""
    if header.symmetry == "general":
        return entries
    off_diagonal = entries.row != entries.column
    sign = 1.0
    if header.symmetry == "skew-symmetric":
        sign = -1.0
        wrong = ~off_diagonal & (entries.value != 0)
        if wrong.any():
            entry = int(wrong.argmax())
            raise InputError(
                f"{path}: line {line_of_entry(body, header.line, entry)}: a skew-symmetric "
                "matrix has no diagonal"
            )
    row, column, value = (
        array[off_diagonal] for array in (entries.row, entries.column, entries.value)
    )
    return Coordinates(
        entries.rows,
        entries.columns,
        np.concatenate((entries.row, column)),
        np.concatenate((entries.column, row)),
        np.concatenate((entries.value, sign * value)),
    )
