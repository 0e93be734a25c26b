"""From a matrix to the trace of its product, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sparsesim.trace import SpGemm, load
from tests.cli.command_line import done, refused
from workloads.matrices.products import product_size

SMALL = "%%MatrixMarket matrix coordinate real general\n2 3 3\n1 1 2\n1 3 0\n2 2 -1\n"


@pytest.fixture
def mtx(tmp_path: Path) -> Path:
    path = tmp_path / "a.mtx"
    path.write_text(SMALL)
    return path


def extracted(tmp_path: Path, *arguments: object) -> SpGemm:
    done("extract", *arguments, "-o", tmp_path / "a.trace", "--force")
    (operator,) = load(tmp_path / "a.trace").operators
    assert isinstance(operator, SpGemm)
    return operator


def test_squares(tmp_path: Path) -> None:
    operator = extracted(tmp_path, "rmat:scale=5,edges=90")
    trace = load(tmp_path / "a.trace")
    assert (operator.a, operator.m, operator.n, operator.k) == (operator.b, 32, 32, 32)
    a = trace.matrix("A")
    shown = json.loads(done("inspect", tmp_path / "a.trace", "--json").stdout)
    assert shown["summary"]["macs_nonzero"] == product_size(a, a).partial_products
    assert shown["summary"]["matrix_nonzeros"] == a.nnz == shown["provenance"]["a"]["nonzeros"]
    assert f"csr nnz={a.nnz}" in done("inspect", tmp_path / "a.trace").stderr


def test_transpose_dense_and_another(tmp_path: Path, mtx: Path) -> None:
    operator = extracted(tmp_path, mtx, "--times", "transpose")
    a, b = (load(tmp_path / "a.trace").matrix(side.tensor) for side in (operator.a, operator.b))
    np.testing.assert_array_equal(b.to_scipy().toarray(), a.to_scipy().toarray().T)
    operator = extracted(tmp_path, mtx, "--times", "dense:5")
    assert (operator.m, operator.n, operator.k, operator.b.pattern.kind) == (2, 5, 3, "dense")
    other = tmp_path / "b.edges"
    other.write_text("0 1 3\n2 0 4\n")
    operator = extracted(tmp_path, mtx, "--times", other)
    assert load(tmp_path / "a.trace").matrix(operator.b.tensor).values.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], r"a\.mtx: A is 2 x 3, B is 2 x 3; A x B needs B to have 3 rows .*--times transpose"),
        (["--times", "itself"], "--times 'itself.: must be a matrix .*transpose, dense:COLS"),
        (["--times", "dense:0"], "dense:COLS needs a whole number from 1 to 1048576"),
        (["--times", "dense:x"], "dense:COLS needs a whole number"),
        (["--times", "absent.mtx"], r"absent\.mtx: cannot be read"),
        (["--prune", "nm:2:4"], "--prune 'nm:2:4': .* is a matrix, it is taken as it is"),
        (["--checkpoint", "a.pt"], "--checkpoint a.pt: .* is a matrix, it has no weights"),
    ],
)
def test_refused(tmp_path: Path, mtx: Path, arguments: list[str], match: str) -> None:
    refused(match, "extract", mtx, "-o", tmp_path / "a.trace", *arguments)
    assert not (tmp_path / "a.trace").exists()


def test_networks_are_not_multiplied(tmp_path: Path) -> None:
    out = tmp_path / "a.trace"
    refused("digits_cnn is not a matrix", "extract", "digits_cnn", "-o", out, "--times", "dense:4")
