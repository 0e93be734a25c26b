"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sparsesim.atomic_output import MARKER, atomic_file, atomic_folder, refuse_existing_file
from sparsesim.errors import InputError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_succeeds(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_text() == "whole"
    assert names(tmp_path) == ["a"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_file_that_fails(tmp_path: Path, failure: type[BaseException]) -> None:
    (tmp_path / "a").write_text("before")

    def write_half() -> None:
        with atomic_file(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_folder_that_fails(tmp_path: Path, failure: type[BaseException]) -> None:
    def write_half() -> None:
        with atomic_folder(tmp_path / "deep" / "out") as temporary:
            (temporary / "half").touch()
            raise failure

    with pytest.raises(failure):
        write_half()
    assert names(tmp_path / "deep") == []


def test_a_folder_that_fails_keeps_the_earlier_one(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out", force=True) as temporary:
        raise RuntimeError
    assert names(tmp_path / "out") == [MARKER, "a"]
    assert names(tmp_path) == ["out"]


def refused(path: Path, match: str, force: bool = True) -> None:
    with pytest.raises(InputError, match=match), atomic_folder(path, force):
        pytest.fail("the block must not start")


def test_folders_that_are_not_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    refused(mine, "output folder exists", force=False)
    with atomic_folder(mine, force=True) as temporary:  # it is empty
        (temporary / "a").touch()
    (mine / MARKER).unlink()
    refused(mine, "not an output folder of sparsesim")
    assert names(mine) == ["a"]
    refused(mine / "a", "exists and is not a folder")
    (tmp_path / "link").symlink_to(mine)
    refused(tmp_path / "link", "symbolic link")
    refused(mine / "a" / "out", "cannot be written")


def test_files_that_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="output file exists"):
        refuse_existing_file(tmp_path / "a", force=False)
    refuse_existing_file(tmp_path / "a", force=True)
    refuse_existing_file(tmp_path / "b", force=False)
    os.mkfifo(tmp_path / "pipe")
    for path, match in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "a device or pipe"),
        (tmp_path / "absent" / "a", "no such folder"),
    ):
        for force in (False, True):
            with pytest.raises(InputError, match=match):
                refuse_existing_file(path, force)
        with pytest.raises(InputError, match=match), atomic_file(path):
            pytest.fail("the block must not start")


@pytest.mark.parametrize("atomic", [atomic_file, atomic_folder])
def test_a_full_disk_is_told_with_the_name_of_the_output(
    tmp_path: Path, atomic: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    full = pytest.raises(InputError, match=r"/out: cannot be written \(No space")
    with full, atomic(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []
    with pytest.raises(BrokenPipeError), atomic(tmp_path / "out"):
        raise BrokenPipeError(errno.EPIPE, "nobody reads")


def test_the_old_folder_outlives_an_interrupt_of_its_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with atomic_folder(tmp_path / "f") as folder:
        (folder / "a").write_text("before")
    replace, remove = os.replace, shutil.rmtree

    def interrupted(source: Path, target: Path) -> None:
        if target == tmp_path / "f" and (Path(source) / "b").exists():
            raise KeyboardInterrupt
        replace(source, target)

    def interrupted_removal(path: Path, **options: bool) -> None:
        remove(path, **options)
        if path == tmp_path / "f":
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    monkeypatch.setattr(shutil, "rmtree", interrupted_removal)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "f", force=True) as folder:
        (folder / "b").write_text("after")
    assert (tmp_path / "f" / "a").read_text() == "before"
    assert names(tmp_path) == ["f"]
