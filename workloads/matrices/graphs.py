"""networkx graphs as matrices: given as objects, or in files that networkx reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsesim.errors import InputError
from sparsesim.trace import CsrMatrix
from sparsesim.trace.matrices import check_values

if TYPE_CHECKING:
    import networkx as nx

GRAPH_SUFFIXES = (".graphml", ".gml")


def from_networkx(graph: nx.Graph[Any], weight: str | None = "weight") -> CsrMatrix:
    """The adjacency matrix of `graph`, nodes in its own order.

    An undirected edge is stored in both directions, a self loop once. Parallel edges are summed.

    Args:
        weight: attribute of an edge that is its value; 1 where an edge has none, or if None.

    Raises:
        InputError: no nodes, or a weight that is no finite number.
    """
    import networkx as nx

    if graph.number_of_nodes() == 0:
        raise InputError("graph: has no nodes")
    try:
        adjacency = nx.to_scipy_sparse_array(
            graph, weight=weight, format="coo", dtype=np.dtype("f8")
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"graph: weights must be numbers ({error})") from None
    matrix = CsrMatrix.from_scipy(adjacency)
    check_values("graph: weights", matrix.values, 0)
    return matrix


def read_graph(path: Path, on_message: Callable[[str], None]) -> CsrMatrix:
    """Read a GraphML or GML file.

    Raises:
        InputError: not readable, or no such graph.
    """
    import networkx as nx

    try:
        path.open("rb").close()
        read = nx.read_graphml if path.suffix.lower() == ".graphml" else nx.read_gml
        graph = read(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # parsers of networkx raise whatever they stumble over
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: no graph networkx reads ({text})") from None
    kind = "directed" if graph.is_directed() else "undirected"
    on_message(f"{path.name}: {kind} graph of {len(graph)} nodes, {graph.size()} edges")
    try:
        return from_networkx(graph)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
