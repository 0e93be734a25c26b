"""The trace file: one zip with `manifest.json`, masks and matrices, written atomically."""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from sparsesim.atomic_output import atomic_file
from sparsesim.errors import InputError
from sparsesim.trace.masks import PackedBits
from sparsesim.trace.matrices import ARRAYS, CsrMatrix, StoredMatrix, read_matrix
from sparsesim.trace.trace import Manifest, Trace
from sparsesim.validation import checked, shown

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 256 * 2**20
#: What zipfile raises on an archive with wrong bytes in it (compression methods, flags, names).
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
)
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same trace


def mask_member(mask_id: str) -> str:
    """Name inside the zip of a mask's bits."""
    return f"masks/{mask_id}.bits"


def matrix_member(tensor: str, array: str) -> str:
    """Name inside the zip of one array of a matrix."""
    return f"matrices/{tensor}.{array}"


def save(trace: Trace, path: Path | str) -> None:
    """Write `trace` to `path`; the file appears whole or not at all.

    Raises:
        InputError: `path` cannot be written.
        ValueError: the matrices are not those that the manifest lists.
    """
    listed = {record.tensor: record for record in trace.manifest.matrices}
    if listed != {tensor: matrix.record(tensor) for tensor, matrix in trace.matrices.items()}:
        raise ValueError(f"{trace.name}: matrices differ from the manifest's")
    with atomic_file(Path(path)) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _add(archive, MANIFEST, trace.manifest_json().encode())
        for mask_id in sorted(trace.bits):
            _add(archive, mask_member(mask_id), trace.bits[mask_id].tobytes())
        for tensor in sorted(trace.matrices):
            for name, array in trace.matrices[tensor].arrays():
                _add(archive, matrix_member(tensor, name), array.view(np.uint8).data)


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    info = zipfile.ZipInfo(name, _TIMESTAMP)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data, compresslevel=1)


def load(path: Path | str) -> Trace:
    """Read and check a trace file, or a bare `manifest.json` written by hand (nothing stored).

    Raises:
        InputError: not readable, truncated, not a trace, a field out of range, a mask of the
            wrong shape or one that breaks its pattern, a matrix that is none.
    """
    path = Path(path)
    try:
        if not zipfile.is_zipfile(path):
            if path.suffix == ".json":
                return _from_manifest(path)
            path.open("rb").close()
            raise InputError(
                f"{path}: not a trace (no zip directory: truncated, or another format)"
            )
        with zipfile.ZipFile(path) as archive:
            return _from_archive(path, archive)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged trace ({error})") from None


def _from_manifest(path: Path) -> Trace:
    trace = Trace(_parse(path, path.read_bytes()))
    if trace.manifest.matrices:
        raise InputError(f"{path}: a bare manifest has no matrices, a trace file holds them")
    trace.check_masks(str(path))
    return trace


def _from_archive(path: Path, archive: zipfile.ZipFile) -> Trace:
    members = {info.filename: info for info in archive.infolist()}
    if MANIFEST not in members:
        raise InputError(f"{path}: not a trace (no {MANIFEST} in it)")
    if members[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise InputError(
            f"{path}: {MANIFEST} of {members[MANIFEST].file_size} bytes; "
            f"at most {MAX_MANIFEST_BYTES} are read"
        )
    manifest = _parse(path, archive.read(MANIFEST))
    bits: dict[str, PackedBits] = {}
    for mask in manifest.masks:
        member = members.get(mask_member(mask.id))
        if member is None:
            continue
        rows, row_bytes = mask.packed_shape
        # Compared before anything is unpacked, so a crafted archive cannot exhaust memory.
        if member.file_size != rows * row_bytes:
            raise InputError(
                f"{path}: mask {mask.id!r}: {member.file_size} bytes stored, its shape "
                f"{mask.rows} x {mask.columns} needs {rows * row_bytes}"
            )
        data = archive.read(member)
        bits[mask.id] = np.frombuffer(data, dtype=np.uint8).reshape(rows, row_bytes)
    matrices = {
        record.tensor: _matrix(path, archive, members, record) for record in manifest.matrices
    }
    trace = Trace(manifest, bits, matrices)
    trace.check_masks(str(path))
    return trace


def _matrix(
    path: Path,
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    record: StoredMatrix,
) -> CsrMatrix:
    where = f"{path}: matrix {record.tensor!r}"
    with ExitStack() as stack:
        arrays = {}
        for (name, _), needed in zip(ARRAYS, record.array_bytes, strict=True):
            member = members.get(matrix_member(record.tensor, name))
            if member is None:
                raise InputError(f"{where}: {name} is not in the archive")
            if member.file_size != needed:  # compared before anything is unpacked
                raise InputError(
                    f"{where}: {name}: {member.file_size} bytes stored, {record.rows} x "
                    f"{record.columns} with {record.nnz} nonzeros needs {needed}"
                )
            arrays[name] = stack.enter_context(archive.open(member))
        return read_matrix(where, record, arrays)


def _refuse_constant(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")


def _parse(path: Path, data: bytes) -> Manifest:
    try:
        content = json.loads(data, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InputError(f"{path}: {MANIFEST} is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: {MANIFEST} must be an object (got {shown(content)})")
    manifest = checked(Manifest, content, str(path))
    assert isinstance(manifest, Manifest)
    return manifest
