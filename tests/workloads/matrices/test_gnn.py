"""Graph networks as traces, computed by hand from the trace alone."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix, Gemm, SpGemm, Trace, load
from sparsesim.trace.summary import summarize
from tests.cli.command_line import done, refused
from tests.trace.small_matrices import csr_matrices
from workloads.matrices.gnn import gnn_trace, normalised, parse_gnn
from workloads.matrices.graphs import from_networkx


def computed(trace: Trace, values: dict[str, np.ndarray]) -> np.ndarray:
    """Run the operators of a trace on dense arrays, in order; the last result."""
    known = {name: trace.matrix(name).to_scipy().toarray() for name in trace.matrices} | values
    for operator in trace.operators:
        assert all(dep in {op.name for op in trace.operators} for dep in operator.deps)
        if isinstance(operator, Gemm):
            result = known[operator.a.tensor] @ known[operator.b.tensor].T
        elif isinstance(operator, SpGemm):
            result = known[operator.a.tensor] @ known[operator.b.tensor]
        elif operator.function == "relu":
            result = np.maximum(known[operator.inputs[0]], 0)
        else:
            assert operator.function == "add"
            result = known[operator.inputs[0]] + known[operator.inputs[1]]
        output = operator.output if isinstance(operator, Gemm | SpGemm) else operator.outputs[0]
        assert result.shape == trace.tensors[output].shape
        known[output] = result
    return result


def drawn(trace: Trace, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=tensor.shape)
        for name, tensor in trace.tensors.items()
        if tensor.role == "weight" or name == "x"
    }


@settings(max_examples=60, deadline=None)
@given(data=st.data(), widths=st.lists(st.integers(1, 5), min_size=2, max_size=4))
def test_gcn(data: st.DataObject, widths: list[int]) -> None:
    nodes = data.draw(st.integers(1, 7))
    graph = data.draw(csr_matrices(rows=nodes, columns=nodes))
    trace = gnn_trace("g", graph, parse_gnn("gcn:" + ",".join(map(str, widths))))
    values = drawn(trace, 1)
    edges = np.zeros((nodes, nodes))
    edges[np.repeat(np.arange(nodes), graph.row_lengths()), graph.indices] = 1
    edges[np.arange(nodes), np.arange(nodes)] = 1
    degree = edges.sum(axis=1)
    a = edges / np.sqrt(degree[:, None] * degree[None, :])
    expected = values["x"]
    for layer in range(1, len(widths)):
        expected = a @ expected @ values[f"layer{layer}.weight"].T
        if layer < len(widths) - 1:
            expected = np.maximum(expected, 0)
    np.testing.assert_allclose(computed(trace, values), expected, atol=1e-12)
    # The cheaper order of the two products.
    for row in summarize(trace)["operators"]:
        if row["kind"] == "spgemm":
            number = int(row["layer"].removeprefix("layer"))
            assert row["shape"]["n"] == min(widths[number - 1 : number + 1])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), widths=st.lists(st.integers(1, 5), min_size=2, max_size=3))
def test_sage(data: st.DataObject, widths: list[int]) -> None:
    nodes = data.draw(st.integers(1, 7))
    graph = data.draw(csr_matrices(rows=nodes, columns=nodes))
    trace = gnn_trace("g", graph, parse_gnn("sage:" + ",".join(map(str, widths))))
    values = drawn(trace, 2)
    expected = values["x"]
    for layer in range(1, len(widths)):
        mean = np.zeros_like(expected)
        for node in range(nodes):
            neighbours = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
            if neighbours.size:
                mean[node] = expected[neighbours].mean(axis=0)
        weights = [values[f"layer{layer}.{name}"] for name in ("self", "neighbours")]
        expected = expected @ weights[0].T + mean @ weights[1].T
        if layer < len(widths) - 1:
            expected = np.maximum(expected, 0)
    np.testing.assert_allclose(computed(trace, values), expected, atol=1e-12)


def test_normalisation_as_networkx_has_it() -> None:
    graph = nx.karate_club_graph()
    graph.add_edges_from((node, node) for node in graph)
    laplacian = nx.normalized_laplacian_matrix(graph, weight=None).toarray()
    found = normalised(from_networkx(nx.karate_club_graph()), "gcn").to_scipy().toarray()
    # networkx counts a self loop twice in a degree; ours is the row sum of A + I.
    assert (laplacian != 0).sum() == (found != 0).sum()
    np.testing.assert_allclose(found, found.T)
    assert np.linalg.eigvalsh(found).max() == pytest.approx(1.0)


def test_a_network_on_a_graph_by_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "a.trace"
    done("extract", "rmat:scale=6,edges=300", "-o", out, "--times", "gcn:32,8,3")
    trace = load(out)
    assert [operator.kind for operator in trace.operators] == [
        "gemm", "spgemm", "elementwise", "gemm", "spgemm",
    ]  # fmt: skip
    assert trace.manifest.provenance["gnn"] == "gcn:32,8,3"
    for times in ("gcn:8", "gcn:8,x", "sage:0,4", "gcn:8,99999999", "gcn"):
        refused(
            f"--times {times!r}: ",
            "extract",
            "rmat:scale=6",
            "-o",
            out,
            "--times",
            times,
            "--force",
        )


def test_graphs_are_square() -> None:
    matrix = CsrMatrix(1, 2, np.array([0, 1]), np.array([1], np.int32), np.ones(1))
    with pytest.raises(InputError, match="a graph is a square matrix, this one is 1 x 2"):
        gnn_trace("g", matrix, parse_gnn("gcn:4,2"))
