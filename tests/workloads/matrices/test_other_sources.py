"""Matrices from .npz files, edge lists, graphs and generators."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from tests.trace.small_matrices import csr_matrices
from workloads.matrices import npz_file
from workloads.matrices.graphs import from_networkx
from workloads.matrices.source import is_matrix_source, load_matrix

ONE_FILE = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load(source: Path | str) -> CsrMatrix:
    assert is_matrix_source(str(source))
    matrix = load_matrix(str(source), lambda _: None)
    matrix.check("loaded")
    return matrix


def refused(source: Path | str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load(source)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)


@ONE_FILE
@given(
    matrix=csr_matrices(),
    form=st.sampled_from(["csr", "csc", "coo", "bsr", "dia"]),
    packed=st.booleans(),
)
def test_npz(tmp_path: Path, matrix: CsrMatrix, form: str, packed: bool) -> None:
    path = tmp_path / "a.npz"
    expected = matrix.to_scipy()
    scipy.sparse.save_npz(path, expected.asformat(form), compressed=packed)
    found = load(path)
    np.testing.assert_array_equal(found.to_scipy().toarray(), expected.toarray())
    if form in ("csr", "csc", "coo"):
        assert found.nnz == matrix.nnz  # stored zeros stay


class Executes:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def csr_arrays(**changes: Any) -> dict[str, Any]:
    return {
        "format": b"csr", "shape": (2, 2), "data": np.ones(2), "indices": np.array([0, 1]),
        "indptr": np.array([0, 1, 2]), **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x": np.ones(2)}, "holds x; a sparse matrix written by scipy.sparse.save_npz has"),
        (csr_arrays(data=np.array([Executes(), 1.0])), "allow_pickle"),
        (csr_arrays(format=np.array(Executes(), dtype=object)), "allow_pickle"),
        (csr_arrays(format=b"lil"), "format 'lil' is not read"),
        (csr_arrays(data=np.array([1, 1j])), "holds complex128 values"),
        (csr_arrays(data=np.array([1, np.nan])), "not finite"),
        (csr_arrays(indices=np.array([0, 5])), "no sparse matrix in it"),
        (csr_arrays(indices=np.array([0, -1])), "no sparse matrix in it"),
        (csr_arrays(indptr=np.array([0, 9, 2])), "no sparse matrix in it"),
        (csr_arrays(indptr=np.array([0, 2])), "no sparse matrix in it"),
        (csr_arrays(shape=(2, 2, 2)), "has 3 dimensions"),
        (csr_arrays(shape=(0, 2)), "0 rows, must be 1 to"),
        (csr_arrays(shape=(2, 2**40)), "1099511627776 columns, must be 1 to"),
        ({key: value for key, value in csr_arrays().items() if key != "indices"}, "indices"),
    ],
)
def test_npz_that_is_no_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: dict[str, Any], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", match)
    assert not (tmp_path / "executed").exists()


def test_npz_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_file, "MAX_MATRIX_BYTES", 2**20)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **csr_arrays(data=np.zeros(2**20)))
    assert path.stat().st_size < 2**16
    refused(path, "unpacks to .* bytes; at most 1048576 are read")


@ONE_FILE
@given(data=st.data())
def test_npz_with_wrong_bytes(tmp_path: Path, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **csr_arrays())
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        load(path)
    except InputError as error:
        message = str(error)
    else:
        return
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    ["# c\n0 2\n2 1\n\n0 2\n", "0,2\n2,1\n0,2\n", "% c\n0\t2\r\n2\t1\n0 2", "0 2 1\n2 1 1\n0 2 1"],
)
def test_edge_lists(tmp_path: Path, text: str) -> None:
    for name, content in (("a.edges", text.encode()), ("a.el.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(content)
        found = load(tmp_path / name)
        assert found.to_scipy().toarray().tolist() == [[0, 0, 2], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "holds no edges"),
        ("# only\n", "holds no edges"),
        ("0 1\n# c\n1 x\n", "line 3: 'x' is not a whole number of 64 bits"),
        ("0 1\n1\n", "line 2: 1 fields, needs 2"),
        ("0 1 2 3\n", "line 1: 4 fields, needs 3"),
        ("0 1\n\n0 -1\n", "line 3: node -1, nodes are numbered from 0"),
        ("0 1 1\n0 1 nan\n", "line 2: weight nan must be finite"),
        ("0 4294967296\n", "4294967297 rows, must be 1 to 2147483647"),
        ("0 2000000000\n", "takes more than 4294967296 bytes"),
    ],
)
def test_edge_lists_that_are_none(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "a.edges"
    path.write_text(text)
    refused(path, match)


def test_graphs(tmp_path: Path) -> None:
    graph = nx.karate_club_graph()
    expected = nx.to_numpy_array(graph)
    np.testing.assert_array_equal(from_networkx(graph).to_scipy().toarray(), expected)
    assert from_networkx(graph, weight=None).values.tolist() == [1.0] * 156
    nx.write_graphml(graph, tmp_path / "a.graphml")
    nx.write_gml(graph, tmp_path / "a.gml")
    for name in ("a.graphml", "a.gml"):
        np.testing.assert_array_equal(load(tmp_path / name).to_scipy().toarray(), expected)
    directed = nx.MultiDiGraph([(0, 1), (0, 1), (1, 1)])
    assert from_networkx(directed).to_scipy().toarray().tolist() == [[0, 2], [0, 1]]


def test_graphs_that_are_none(tmp_path: Path) -> None:
    for name in ("a.graphml", "a.gml"):
        refused(tmp_path / name, "cannot be read")
        (tmp_path / name).write_text("<nonsense")
        refused(tmp_path / name, "no graph networkx reads")
    nx.write_gml(nx.Graph(), tmp_path / "empty.gml")
    refused(tmp_path / "empty.gml", "has no nodes")
    with pytest.raises(InputError, match="weights must be numbers"):
        from_networkx(nx.Graph([(0, 1, {"weight": "much"})]))
    with pytest.raises(InputError, match="weights: value 0 is nan"):
        from_networkx(nx.Graph([(0, 1, {"weight": float("nan")})]))


SMALL = [
    "rmat:scale=6,edges=300",
    "uniform:rows=40,edges=200",
    "barabasi_albert:rows=50,degree=3",
    "watts_strogatz:rows=30,degree=4,rewire=0.2",
    "grid:width=5,height=4",
    "banded:rows=9,half_width=3",
]


@pytest.mark.parametrize("source", SMALL)
def test_generators(source: str) -> None:
    matrix = load(source)
    again = load(source)
    np.testing.assert_array_equal(matrix.indices, again.indices)
    assert matrix.values.tolist() == [1.0] * matrix.nnz
    uniform = load(f"{source},values=uniform")
    np.testing.assert_array_equal(uniform.indices, matrix.indices)
    assert ((uniform.values >= 0.5) & (uniform.values < 1.5)).all()
    shuffled = load(f"{source},shuffle=true")
    assert sorted(shuffled.row_lengths()) == sorted(matrix.row_lengths())
    assert (shuffled.indices != matrix.indices).any()
    random = source.split(":")[0] not in ("grid", "banded")
    other = load(f"{source},seed=2")
    assert random == (other.nnz != matrix.nnz or (other.indices != matrix.indices).any())


def test_structures() -> None:
    grid = load("grid:width=5,height=4").to_scipy()
    expected = nx.to_scipy_sparse_array(nx.grid_2d_graph(4, 5), format="csr")
    np.testing.assert_array_equal(grid.toarray(), (expected + scipy.sparse.eye(20)).toarray())
    ring = load("watts_strogatz:rows=30,degree=4,rewire=0").to_scipy()
    circulant = nx.to_numpy_array(nx.circulant_graph(30, [1, 2]))
    np.testing.assert_array_equal(ring.toarray(), circulant)
    band = load("banded:rows=9,half_width=3").to_scipy().toarray()
    np.testing.assert_array_equal(band, np.tri(9, 9, 3) * np.tri(9, 9, 3).T)
    hubs = load("barabasi_albert:rows=2000,degree=4")
    assert (hubs.to_scipy() != hubs.transpose().to_scipy()).nnz == 0
    assert hubs.row_lengths().max() > 10 * np.median(hubs.row_lengths())


def test_the_matrix_like_the_thesis() -> None:
    assert load("rmat:thesis").nnz == load("rmat:scale=14,edges=270100,a=.5,b=.1,c=.1,seed=1").nnz
    assert abs(load("rmat:thesis").nnz - 254_211) < 500


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("rmat:", "'', must be key=value"),
        ("rmat:scale=4,edges", "'edges', must be key=value"),
        ("rmat:scale=x", "scale: Input should be a valid integer"),
        ("rmat:scale=99", "scale: .*less than or equal to 26"),
        ("rmat:scal=3", "unknown key 'scal'; did you mean 'scale'?"),
        ("rmat:scale=3,scale=3", "scale is given twice"),
        ("rmat:scale=3,a=.9", r"a \+ b \+ c is 1.28, at most 1"),
        ("rmat:scale=3,a=nan", "a: "),
        ("rmat:scale=3,values=twos", "values: "),
        ("uniform:rows=3", "edges: Field required"),
    ],
)
def test_generators_that_are_none(source: str, match: str) -> None:
    refused(source, match)


@pytest.mark.parametrize(
    "source", ["resnet18", "model:build", "grid:build", "a.pt2", "mtx", "a.trace", ".gz"]
)
def test_other_sources_are_no_matrices(source: str) -> None:
    assert not is_matrix_source(source)
