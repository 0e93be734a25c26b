"""Sparse matrices in a trace: what is stored comes back, and nothing else passes for one."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix, Manifest, Trace, load, matrices, save
from sparsesim.trace.file import MANIFEST, matrix_member
from sparsesim.trace.matrices import partial_products
from sparsesim.trace.summary import summarize
from sparsesim.validation import checked
from tests.trace.small_matrices import csr_matrices

ONE_FILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def product_manifest(a: CsrMatrix, b: CsrMatrix, **changes: Any) -> dict[str, Any]:
    """A manifest as JSON data: C = A B, both stored."""

    def operand(name: str, matrix: CsrMatrix) -> dict[str, Any]:
        pattern = {
            "kind": "csr", "rows": matrix.rows, "columns": matrix.columns, "nnz": matrix.nnz,
        }  # fmt: skip
        return {"tensor": name, "pattern": pattern}

    stored = {"A": a, "B": b}
    shapes = {"A": a.shape, "B": b.shape, "C": (a.rows, b.columns)}
    return {
        "name": "product",
        "tensors": [
            {"name": name, "shape": shape, "dtype": "float64", "role": "state"}
            for name, shape in shapes.items()
        ],
        "matrices": [matrix.record(name).model_dump() for name, matrix in stored.items()],
        "operators": [
            {
                "kind": "spgemm", "name": "product", "layer": "product", "phase": "inference",
                "m": a.rows, "n": b.columns, "k": a.columns,
                "a": operand("A", a), "b": operand("B", b), "output": "C",
            }
        ],
        **changes,
    }  # fmt: skip


@st.composite
def products(draw: st.DrawFn) -> Trace:
    a = draw(csr_matrices())
    b = draw(csr_matrices(rows=a.columns))
    return Trace(Manifest.model_validate(product_manifest(a, b)), {}, {"A": a, "B": b})


def small() -> CsrMatrix:
    """3 x 4: two elements, none, two; one of them zero."""
    return CsrMatrix(
        3,
        4,
        np.array([0, 2, 2, 4], np.int64),
        np.array([1, 3, 0, 1], np.int32),
        np.array([1.5, 0.0, -2.0, 4.0]),
    )


def small_product() -> Trace:
    a, b = small(), small().transpose()
    return Trace(Manifest.model_validate(product_manifest(a, b)), {}, {"A": a, "B": b})


def same(one: CsrMatrix, other: CsrMatrix) -> None:
    assert one.shape == other.shape
    for (name, array), (_, other_array) in zip(one.arrays(), other.arrays(), strict=True):
        np.testing.assert_array_equal(array, other_array, err_msg=name)


@ONE_FILE
@given(trace=products())
def test_round_trip(tmp_path: Path, trace: Trace) -> None:
    save(trace, tmp_path / "a.trace")
    again = load(tmp_path / "a.trace")
    assert again.manifest == trace.manifest
    assert again.sha256() == trace.sha256()
    for name in ("A", "B"):
        same(again.matrix(name), trace.matrix(name))
        again.matrix(name).check(name)
    save(again, tmp_path / "b.trace")
    assert (tmp_path / "a.trace").read_bytes() == (tmp_path / "b.trace").read_bytes()


@settings(max_examples=100, deadline=None)
@given(matrix=csr_matrices())
def test_scipy_and_back_keeps_stored_zeros(matrix: CsrMatrix) -> None:
    matrix.check("drawn")
    same(CsrMatrix.from_scipy(matrix.to_scipy()), matrix)
    same(matrix.transpose().transpose(), matrix)
    np.testing.assert_array_equal(
        matrix.transpose().to_scipy().toarray(), matrix.to_scipy().toarray().T
    )


def test_duplicates_are_summed_and_cancel_to_a_stored_zero() -> None:
    entries = (np.array([1.0, -1.0, 3.0]), (np.array([0, 0, 1]), np.array([2, 2, 0])))
    matrix = CsrMatrix.from_scipy(scipy.sparse.coo_array(entries, shape=(2, 3)))
    assert matrix.indices.tolist() == [2, 0]
    assert matrix.values.tolist() == [0.0, 3.0]


@settings(max_examples=100, deadline=None)
@given(trace=products())
def test_partial_products(trace: Trace) -> None:
    a, b = trace.matrix("A"), trace.matrix("B")
    ones = [matrix.to_scipy().copy() for matrix in (a, b)]
    for matrix in ones:
        matrix.data[:] = 1.0
    assert partial_products(a, b) == int((ones[0] @ ones[1]).sum())
    assert summarize(trace)["macs_nonzero"] == partial_products(a, b)


@ONE_FILE
@given(data=st.data())
def test_wrong_bytes_are_refused_or_do_not_matter(tmp_path: Path, data: st.DataObject) -> None:
    trace = small_product()
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


def written(path: Path, manifest: dict[str, Any], arrays: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(MANIFEST, json.dumps(manifest))
        for name, content in arrays.items():
            made.writestr(name, content)
    return path


def members(matrix: CsrMatrix, tensor: str = "A", **changed: Any) -> dict[str, bytes]:
    arrays = dict(matrix.arrays()) | changed
    return {matrix_member(tensor, name): array.tobytes() for name, array in arrays.items()}


def square_manifest(matrix: CsrMatrix) -> dict[str, Any]:
    """C = A A with A alone stored."""
    manifest = product_manifest(matrix, matrix)
    manifest["operators"][0]["b"]["tensor"] = "A"
    manifest["matrices"] = manifest["matrices"][:1]
    return manifest


def square() -> CsrMatrix:
    return CsrMatrix(2, 2, np.array([0, 1, 3], np.int64), np.array([1, 0, 1], np.int32), np.ones(3))


def refused(path: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"indptr": np.array([0, 2, 3]), "indices": np.array([1, 1, 0], np.int32)},
         "columns of row 0 do not rise"),
        ({"indices": np.array([1, 1, 0], np.int32)}, "columns of row 1 do not rise"),
        ({"indices": np.array([1, 0, 2], np.int32)}, "row 1 has column 2, must be 0 to 1"),
        ({"indices": np.array([-1, 0, 1], np.int32)}, "row 0 has column -1, must be 0 to 1"),
        ({"indptr": np.array([1, 1, 3])}, "indptr runs from 1 to 3, must run from 0 to 3"),
        ({"indptr": np.array([0, 1, 2])}, "indptr runs from 0 to 2"),
        ({"indptr": np.array([0, -1, 3])}, "indptr falls after row 0"),
        ({"indptr": np.array([0, 4, 3])}, "indptr exceeds the 3 elements"),
        ({"values": np.array([1, np.nan, 1])}, "value 1 is nan, must be finite"),
        ({"values": np.array([1, 1, np.inf])}, "value 2 is inf, must be finite"),
        ({"values": np.ones(4)}, "values: 32 bytes stored, 2 x 2 with 3 nonzeros needs 24"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("read_at_once", [1, 2, 2**20])
def test_arrays_that_are_no_matrix(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    match: str,
    read_at_once: int,
) -> None:
    monkeypatch.setattr(matrices, "_READ_AT_ONCE", read_at_once)
    path = tmp_path / "a.trace"
    good = written(path, square_manifest(square()), members(square()))
    same(load(good).matrix("A"), square())
    refused(written(path, square_manifest(square()), members(square(), **changed)), match)
    if "bytes" not in match and "exceeds" not in match:
        arrays = {name: changed.get(name, array) for name, array in square().arrays()}
        with pytest.raises(InputError, match=match):
            CsrMatrix(2, 2, **arrays).check("made")


def test_arrays_of_another_type() -> None:
    wrong = dataclasses.replace(square(), indptr=square().indptr.astype(np.int32))
    with pytest.raises(InputError, match=r"made: indptr is int32 of shape \(3,\), must be int64"):
        wrong.check("made")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    manifest = square_manifest(square())
    arrays = members(square()) | {matrix_member("A", "values"): bytes(2**26)}
    path = written(tmp_path / "bomb.trace", manifest, arrays)
    assert path.stat().st_size < 2**20
    refused(path, "values: 67108864 bytes stored, 2 x 2 with 3 nonzeros needs 24")


def test_a_bomb_of_the_size_it_claims_ends_at_its_first_part(tmp_path: Path) -> None:
    extent, nnz = 2**12, 2**23  # 32 MiB of columns that are all 0, 64 MiB of values
    pattern = {"kind": "csr", "rows": extent, "columns": extent, "nnz": nnz}
    manifest = square_manifest(square())
    manifest["matrices"] = [{"tensor": "A", "rows": extent, "columns": extent, "nnz": nnz}]
    manifest["operators"][0] |= {
        "m": extent, "n": extent, "k": extent,
        "a": {"tensor": "A", "pattern": pattern}, "b": {"tensor": "A", "pattern": pattern},
    }  # fmt: skip
    arrays = {
        matrix_member("A", "indptr"): np.linspace(0, nnz, extent + 1).astype(np.int64).tobytes(),
        matrix_member("A", "indices"): bytes(4 * nnz),
        matrix_member("A", "values"): bytes(8 * nnz),
    }
    refused(written(tmp_path / "a.trace", manifest, arrays), "columns of row 0 do not rise")


@pytest.mark.parametrize(
    ("record", "match"),
    [
        ({"nnz": 4}, "matrix 'A' is 2 x 2 with 4 nonzeros, operand a of 'product' needs 2 x 2"),
        ({"nnz": 5}, "matrix 'A' of 2 x 2 cannot hold 5 nonzeros"),
        ({"rows": 3}, "matrix 'A' is 3 x 2 with 3 nonzeros, operand a of 'product' needs 2 x 2"),
        ({"tensor": "Z"}, "matrix 'Z' is of no tensor of that name"),
        ({"tensor": "../A"}, "tensor: "),
        ({"rows": 2**31}, "rows: "),
        ({"nnz": 2**40, "rows": 2**30, "columns": 2**30}, "takes more than 4294967296 bytes"),
    ],
)
def test_records_that_do_not_fit(record: dict[str, Any], match: str) -> None:
    manifest = square_manifest(square())
    manifest["matrices"][0] |= record
    with pytest.raises(InputError, match=match):
        checked(Manifest, manifest, "a.trace")


def test_patterns_of_stored_matrices() -> None:
    manifest = square_manifest(square())
    manifest["operators"][0]["b"]["pattern"] = {"kind": "dense"}
    with pytest.raises(InputError, match="operand b of 'product' is a stored matrix, its pattern"):
        checked(Manifest, manifest, "a.trace")
    manifest = square_manifest(square())
    manifest["operators"][0]["n"] = 3
    with pytest.raises(InputError, match="csr of 2 x 2, operand b of 'product' needs 2 x 3"):
        checked(Manifest, manifest, "a.trace")


def test_missing_members(tmp_path: Path) -> None:
    arrays = members(square())
    del arrays[matrix_member("A", "indices")]
    path = written(tmp_path / "a.trace", square_manifest(square()), arrays)
    refused(path, "matrix 'A': indices is not in the archive")
    bare = tmp_path / "manifest.json"
    bare.write_text(json.dumps(square_manifest(square())))
    refused(bare, "a bare manifest has no matrices")


def test_a_matrix_that_is_not_stored() -> None:
    with pytest.raises(InputError, match=r"product: no matrix stored as 'D' \(stored: A, B\)"):
        small_product().matrix("D")


def test_the_hash_covers_the_values() -> None:
    trace = small_product()
    other = dataclasses.replace(small(), values=small().values + 1)
    assert Trace(trace.manifest, {}, {**trace.matrices, "A": other}).sha256() != trace.sha256()


def test_matrices_and_manifest_must_agree(tmp_path: Path) -> None:
    trace = small_product()
    for stored in ({}, {"A": small()}, {"A": small(), "B": small()}):
        with pytest.raises(ValueError, match="matrices differ from the manifest's"):
            save(Trace(trace.manifest, {}, stored), tmp_path / "a.trace")
    assert list(tmp_path.iterdir()) == []
