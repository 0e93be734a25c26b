"""SciPy's .npz files of sparse matrices, read without unpickling anything."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from sparsesim.trace.matrices import MAX_MATRIX_BYTES
from workloads.matrices.coordinates import Coordinates, check_size, from_coordinates

FORMATS = ("csr", "csc", "coo", "bsr", "dia")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, KeyError, MemoryError)


def read_npz(path: Path, on_message: Callable[[str], None]) -> CsrMatrix:
    """Read what `scipy.sparse.save_npz` wrote; duplicates are summed, stored zeros stay.

    Raises:
        InputError: not such a file, complex or not finite, or arrays that are no matrix.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = sum(member.file_size for member in archive.infolist())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: not an .npz file ({error})") from None
    if sizes > MAX_MATRIX_BYTES:
        raise InputError(f"{path}: unpacks to {sizes} bytes; at most {MAX_MATRIX_BYTES} are read")
    try:
        return _read(path, on_message)
    except _DAMAGE as error:
        raise InputError(f"{path}: no sparse matrix in it ({_first_line(error)})") from None


def _read(path: Path, on_message: Callable[[str], None]) -> CsrMatrix:
    import scipy.sparse

    with np.load(path, allow_pickle=False) as arrays:
        if "format" not in arrays or "shape" not in arrays:
            raise InputError(
                f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}; a sparse matrix written "
                "by scipy.sparse.save_npz has format, shape and data"
            )
        form = arrays["format"].item()
        form = form.decode("ascii", errors="replace") if isinstance(form, bytes) else form
        if form not in FORMATS:
            raise InputError(f"{path}: format {form!r} is not read (allowed: {', '.join(FORMATS)})")
        shape = tuple(int(extent) for extent in arrays["shape"])
        if len(shape) != 2:
            raise InputError(f"{path}: has {len(shape)} dimensions, a matrix has 2")
        check_size(str(path), *shape, arrays["data"].size)
        data = arrays["data"]
        if data.dtype.kind not in "biuf":
            raise InputError(f"{path}: holds {data.dtype} values; real and integer ones are read")
        if not np.isfinite(data).all():
            raise InputError(f"{path}: holds values that are not finite")
        matrix: Any
        if form == "coo":
            matrix = scipy.sparse.coo_array((data, (arrays["row"], arrays["col"])), shape=shape)
        elif form == "dia":
            matrix = scipy.sparse.dia_array((data, arrays["offsets"]), shape=shape)
        else:
            kind = getattr(scipy.sparse, f"{form}_array")
            matrix = kind((data, arrays["indices"], arrays["indptr"]), shape=shape)
            matrix.check_format(full_check=True)  # compiled code trusts these indices
    entries = matrix.tocoo()
    return from_coordinates(
        path.name,
        Coordinates(
            *shape,
            entries.row.astype(np.int64),
            entries.col.astype(np.int64),
            entries.data.astype(np.float64),
        ),
        on_message,
    )


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
