"""Real matrices and their products against the counts in the data folder."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.workloads.matrices.data_folder import (
    FOLDER,
    MATRICES,
    ORACLES,
    PRODUCTS,
    needs_matrices,
)
from workloads.matrices.generators import generate
from workloads.matrices.products import product_size
from workloads.matrices.source import load_matrix


@needs_matrices
def test_the_tables_were_found() -> None:
    files = {path.name.removesuffix(".mtx.gz") for path in FOLDER.glob("*.mtx.gz")}
    assert files == set(MATRICES) == set(PRODUCTS)


@needs_matrices
@pytest.mark.parametrize("name", sorted(MATRICES) or ["none"])
def test_matrix_and_product(name: str) -> None:
    said: list[str] = []
    a = load_matrix(str(FOLDER / f"{name}.mtx.gz"), said.append)
    a.check(name)
    rows, columns, nnz, zeros, longest, _ = MATRICES[name][:6]
    assert [str(number) for number in (a.rows, a.columns, a.nnz)] == [rows, columns, nnz]
    assert int((a.values == 0).sum()) == int(zeros)
    assert int(a.row_lengths().max()) == int(longest)
    assert said == []
    product, partial, nnz_c, _, longest_c = PRODUCTS[name][:5]
    size = product_size(a, a if product == "A*A" else a.transpose())
    assert (size.partial_products, size.nnz, size.longest_row) == (
        int(partial),
        int(nnz_c),
        int(longest_c),
    )


@needs_matrices
@pytest.mark.parametrize("scale", [10, 12, 14])
def test_rmat(scale: int) -> None:
    path = ORACLES / "rmat_products.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    (case,) = (case for case in json.loads(path.read_text())["cases"] if case["scale"] == scale)
    a = generate(f"rmat:scale={scale},edges={case['edges_drawn']},seed={case['seed']}")
    digest = hashlib.sha256(a.indptr.astype("<i4").tobytes() + a.indices.tobytes()).hexdigest()
    assert digest == case["sha256_A"]
    size = product_size(a, a)
    assert (size.partial_products, size.nnz) == (case["partial_products"], case["nnzC"])
    assert size.compression == pytest.approx(case["compression"])
    assert size.longest_row == case["max_rowC"]
