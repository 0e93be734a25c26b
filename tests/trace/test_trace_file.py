"""A trace file holds what was saved, and nothing else passes for one."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.trace import Trace, file, load, save
from sparsesim.trace.file import MANIFEST, mask_member
from tests.trace.small_traces import manifest_of, small_trace, traces, two_of_eight

ONE_FILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@ONE_FILE
@given(trace=traces())
def test_round_trip(tmp_path: Path, trace: Trace) -> None:
    save(trace, tmp_path / "a.trace")
    again = load(tmp_path / "a.trace")
    assert again.manifest == trace.manifest
    assert again.sha256() == trace.sha256()
    for mask in trace.manifest.masks:
        np.testing.assert_array_equal(again.mask(mask.id), trace.mask(mask.id))
    save(again, tmp_path / "b.trace")
    assert (tmp_path / "a.trace").read_bytes() == (tmp_path / "b.trace").read_bytes()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    save(small_trace(), tmp_path / "whole.trace")
    return tmp_path / "whole.trace"


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("eighth", range(8))
def test_truncated(whole: Path, eighth: int) -> None:
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * eighth // 8])
    refused(whole, "truncated")


@ONE_FILE
@given(data=st.data())
def test_wrong_bytes_are_refused_or_do_not_matter(tmp_path: Path, data: st.DataObject) -> None:
    trace = small_trace()
    path = tmp_path / "wrong.trace"
    save(trace, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        loaded = load(path)
    except InputError:
        return
    assert loaded.sha256() == trace.sha256()


@ONE_FILE
@given(content=st.binary(max_size=200))
def test_any_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("noise.trace", "noise.json"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError):
            load(tmp_path / name)


def archive(path: Path, members: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


def test_a_mask_that_unpacks_to_more_than_its_shape(tmp_path: Path) -> None:
    bomb = {MANIFEST: manifest_of(), mask_member("w.k"): bytes(2**26)}
    path = archive(tmp_path / "bomb.trace", bomb)
    assert path.stat().st_size < 2**20
    refused(path, "mask 'w.k': 67108864 bytes stored, its shape 3 x 16 needs 6")


def test_a_mask_of_another_shape(tmp_path: Path) -> None:
    members = {MANIFEST: manifest_of(), mask_member("w.k"): bytes(5)}
    refused(archive(tmp_path / "a.trace", members), "5 bytes stored, its shape 3 x 16 needs 6")


def test_a_mask_too_large_to_hold(tmp_path: Path) -> None:
    masks = [{"id": "w.k", "tensor": "w", "rows": 2**40, "columns": 16}]
    members = {MANIFEST: manifest_of(masks=masks)}
    refused(archive(tmp_path / "a.trace", members), "takes more than 4294967296 bytes")


def test_a_manifest_too_large_to_read(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_MANIFEST_BYTES", 100)
    refused(whole, "manifest.json of .* bytes; at most 100 are read")


def test_padding_bits(tmp_path: Path) -> None:
    operators = [
        {
            "kind": "gemm", "name": "g", "layer": "g", "phase": "FF", "m": 4, "n": 3, "k": 12,
            "a": {"tensor": "x"}, "b": {"tensor": "w", "mask": "w.k"}, "output": "y",
        }
    ]  # fmt: skip
    masks = [{"id": "w.k", "tensor": "w", "rows": 3, "columns": 12}]
    manifest = manifest_of(masks=masks, operators=operators)
    members = {MANIFEST: manifest, mask_member("w.k"): b"\x01\x00\x01\x00\x01\x80"}
    refused(archive(tmp_path / "a.trace", members), "padding bits are not zero")


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ({"kind": "nm", "n": 2, "m": 8}, "row 1, group 1 keeps 3 elements, the pattern '2:8@k'"),
        ({"kind": "balanced", "group": 8, "kept": 2}, "row 1, group 1 keeps 3 elements"),
        ({"kind": "nm", "n": 1, "m": 16}, "row 0, group 0 keeps 4 elements"),
        ({"kind": "nm", "n": 2, "m": 3, "axis": "n"}, "row 0, group 0 keeps 3 elements"),
    ],
)
def test_a_broken_pattern_is_named(tmp_path: Path, pattern: dict[str, Any], match: str) -> None:
    mask = two_of_eight()
    mask[1, 15] = True
    manifest = manifest_of()
    manifest["operators"][0]["b"]["pattern"] = pattern
    bits = np.packbits(mask, axis=1, bitorder="little").tobytes()
    refused(archive(tmp_path / "a.trace", {MANIFEST: manifest, mask_member("w.k"): bits}), match)


@pytest.mark.parametrize(
    ("generator", "members", "match"),
    [
        (None, {}, "mask 'w.k' has neither stored bits nor generator"),
        ({"pattern": {"kind": "nm", "n": 2, "m": 8}, "seed": 1}, {mask_member("w.k"): bytes(6)},
         "mask 'w.k' has both stored bits and a generator"),
        ({"pattern": {"kind": "nm", "n": 4, "m": 8}, "seed": 1}, {},
         "mask 'w.k' is generated as '4:8@k', the pattern '2:8@k' of 'fc.FF' differs"),
    ],
)  # fmt: skip
def test_where_a_mask_comes_from(
    tmp_path: Path, generator: Any, members: dict[str, bytes], match: str
) -> None:
    mask = {"id": "w.k", "tensor": "w", "rows": 3, "columns": 16, "generator": generator}
    members = {MANIFEST: manifest_of(masks=[mask]), **members}
    refused(archive(tmp_path / "a.trace", members), match)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"other": b""}, "no manifest.json in it"),
        ({MANIFEST: b"{"}, "manifest.json is not JSON"),
        ({MANIFEST: b"[" * 100_000}, "damaged trace|not JSON"),
        ({MANIFEST: b'{"name": NaN}'}, "NaN is not a JSON number"),
        ({MANIFEST: [1]}, "must be an object"),
        ({MANIFEST: {"a\nb": 1}}, "Field required|not permitted"),
    ],
)
def test_manifests_that_are_none(tmp_path: Path, members: dict[str, Any], match: str) -> None:
    refused(archive(tmp_path / "a.trace", members), match)


def test_a_bare_manifest_written_by_hand(tmp_path: Path) -> None:
    generator = {"pattern": {"kind": "nm", "n": 2, "m": 8}, "seed": 7}
    mask = {"id": "w.k", "tensor": "w", "rows": 3, "columns": 16, "generator": generator}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest_of(masks=[mask])))
    assert load(path).operators[0].name == "fc.FF"
    path.write_text(json.dumps(manifest_of()))
    refused(path, "neither stored bits nor generator")


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    refused(tmp_path / "absent.trace", "cannot be read")
    refused(tmp_path, "cannot be read")
    with pytest.raises(InputError, match="no such folder"):
        save(small_trace(), tmp_path / "absent" / "a.trace")
    with pytest.raises(InputError, match="is a folder"):
        save(small_trace(), tmp_path)


def test_a_failed_save_leaves_the_earlier_file(whole: Path) -> None:
    before = whole.read_bytes()

    class Unreadable(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise RuntimeError(key)

    broken = Trace(small_trace().manifest, Unreadable(small_trace().bits))
    with pytest.raises(RuntimeError, match=r"w\.k"):
        save(broken, whole)
    assert whole.read_bytes() == before
    assert [path.name for path in whole.parent.iterdir()] == [whole.name]
