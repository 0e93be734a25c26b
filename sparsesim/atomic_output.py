"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsesim.errors import InputError

#: Marks a folder as one that `--force` may replace.
MARKER = ".sparsesim-output"

#: Failures of a write that the system does not name a file for.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes `path`'s name only if the block succeeds.

    Raises:
        InputError: the parent folder does not exist or cannot be written, or the disk is full.
    """
    path = Path(path)
    refuse_existing_file(path, force=True)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` only if the block succeeds.

    An existing `path` is refused; with `force` it is replaced, but only if it is empty or an
    earlier output of this tool (it holds the file `.sparsesim-output`).

    Raises:
        InputError: `path` exists and may not be replaced, its parent cannot be written, or the
            disk is full.
    """
    path = Path(path)
    refuse_existing(path, force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        (temporary / MARKER).touch()
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        _replace_folder(temporary, path)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(temporary: Path, path: Path) -> None:
    """Rename `temporary` to `path`; what stood there is deleted after that, not before."""
    before = temporary.with_name(f"{temporary.name}.before")
    try:
        if path.exists():
            os.replace(path, before)
        os.replace(temporary, path)
    except BaseException:
        if before.exists() and not path.exists():
            os.replace(before, path)
        raise
    finally:
        shutil.rmtree(before, ignore_errors=True)


def _named(error: OSError, path: Path) -> Exception:
    """`error`, or if the disk was full the `InputError` that says for what."""
    if error.errno in _NO_ROOM:
        return InputError(f"{path}: cannot be written ({error.strerror})")
    return error


def refuse_existing_file(path: Path, force: bool) -> None:
    """Raise `InputError` where `path` cannot become a file: it exists, or its folder does not."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder {str(path.parent)!r}")
    if path.is_file() and not force:
        raise InputError(f"{path}: output file exists (choose another, or give --force)")
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device or pipe"
        raise InputError(f"{path}: is {what}, a file name is needed")


def refuse_existing(path: Path, force: bool) -> None:
    """Raise `InputError` where writing the folder `path` would overwrite something."""
    if path.is_symlink():
        raise InputError(f"{path}: is a symbolic link, name the folder itself")
    if not path.exists():
        return
    if not path.is_dir():
        raise InputError(f"{path}: exists and is not a folder")
    if not force:
        raise InputError(f"{path}: output folder exists (choose another, or give --force)")
    if any(path.iterdir()) and not (path / MARKER).exists():
        raise InputError(f"{path}: not an output folder of sparsesim, --force will not replace it")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
