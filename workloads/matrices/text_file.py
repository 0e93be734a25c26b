"""Text files of numbers, plain or gzipped: bounded reading, and errors that name the line."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from sparsesim.errors import InputError
from sparsesim.validation import shown

#: More text is refused: a small gzip file can unpack to any size.
MAX_TEXT_BYTES = 2**32
_PART = 2**20
_GZIP_MAGIC = b"\x1f\x8b"


def read_text(path: Path) -> bytes:
    """The content of a text file, unpacked if it is gzipped (by content, not by name).

    Raises:
        InputError: not readable, a damaged or truncated gzip, no text, or too much of it.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            return _read(path, gzip.open(file) if packed else file)
    except EOFError:
        raise InputError(f"{path}: truncated gzip file") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _read(path: Path, file: IO[bytes] | gzip.GzipFile) -> bytes:
    parts = []
    size = 0
    while part := file.read(_PART):
        size += len(part)
        if size > MAX_TEXT_BYTES:
            raise InputError(f"{path}: more than {MAX_TEXT_BYTES} bytes of text")
        if len(part) == _PART and b"\n" not in part:
            raise InputError(f"{path}: not a text file (no line break in {_PART} bytes)")
        parts.append(part)
    return b"".join(parts)


def parse_table(
    path: Path, body: bytes, first_line: int, dtype: np.dtype[Any], delimiter: str | None = None
) -> npt.NDArray[Any]:
    """The (lines,) records of `body`, one per line that is not blank.

    Args:
        first_line: number of the first line of `body` in the file, from 1.
        dtype: a structured type; each line holds its fields.

    Raises:
        InputError: names the first line that is no such record.
    """
    if not body.strip():
        return np.empty(0, dtype)
    text = io.TextIOWrapper(io.BytesIO(body), "ascii", errors="replace")
    try:
        return np.loadtxt(text, dtype, comments=None, delimiter=delimiter, ndmin=1)
    except (ValueError, OverflowError):
        raise _first_wrong_line(path, body, first_line, dtype, delimiter) from None


def _first_wrong_line(
    path: Path, body: bytes, first_line: int, dtype: np.dtype[Any], delimiter: str | None
) -> InputError:
    words = {"i": "a whole number of 64 bits", "f": "a number"}
    fields = [dtype[name].kind for name in dtype.names or ()]
    for number, line in enumerate(body.split(b"\n"), first_line):
        text = line.decode("ascii", errors="replace").strip()
        found = text.split(delimiter)
        if not text:
            continue
        if len(found) != len(fields):
            return InputError(
                f"{path}: line {number}: {len(found)} fields, needs {len(fields)} "
                f"(got {shown(text)})"
            )
        for word, kind in zip(found, fields, strict=True):
            if not _is_number(word, kind):
                return InputError(f"{path}: line {number}: {shown(word)} is not {words[kind]}")
    return InputError(f"{path}: not a table of numbers")


def _is_number(word: str, kind: str) -> bool:
    if "_" in word:  # Python's spelling alone
        return False
    try:
        return abs(int(word)) < 2**63 if kind == "i" else float(word) is not None
    except ValueError:
        return False


def line_of_entry(body: bytes, first_line: int, entry: int) -> int:
    """Number in the file of the line that holds record `entry` (from 0) of `parse_table`."""
    for number, line in enumerate(body.split(b"\n"), first_line):
        if line.strip():
            if entry == 0:
                return number
            entry -= 1
    raise IndexError(entry)
