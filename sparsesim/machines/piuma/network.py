"""The network between cores: topology -> latency of each pair, bandwidth of each port.

Messages take a shortest path of the topology (networkx). Latency is `network_cycles` for entering
and leaving plus `hop_cycles` per hop. Links are not simulated one by one: under uniform traffic the
busiest link carries a certain number of messages per message that each core sends (its channel
load); a core's port therefore keeps each message `link_cycles` x that load, at least `link_cycles`.
This is the ideal-throughput bound of a topology (Dally and Towles, ch. 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma.spec import PiumaSpec

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Network:
    """Latency and bandwidth tables.

    Attributes:
        latency: (cores, cores) clocks from port to port; 0 on the diagonal.
        port_cycles: clocks a message keeps the port it leaves or enters by.
        channel_load: messages on the busiest link per message sent by each core.
        hops: (cores, cores).
    """

    latency: npt.NDArray[np.int64]
    port_cycles: int
    channel_load: float
    hops: npt.NDArray[np.int64]


def grid_extents(cores: int) -> tuple[int, int]:
    """The most nearly square rows x columns of `cores` routers."""
    rows = next(r for r in range(math.isqrt(cores), 0, -1) if cores % r == 0)
    return rows, cores // rows


def topology_graph(topology: str, cores: int) -> nx.Graph[Any]:
    """Routers 0 to cores - 1 and their links."""
    import networkx as nx

    graph: nx.Graph[Any]
    rows, columns = grid_extents(cores)
    if topology == "hyperx":  # every router of a row and of a column is a neighbour
        graph = nx.cartesian_product(nx.complete_graph(rows), nx.complete_graph(columns))
    else:
        graph = nx.grid_2d_graph(rows, columns, periodic=topology == "torus")
    numbers = {place: place[0] * columns + place[1] for place in graph}
    return nx.relabel_nodes(graph, numbers)


@lru_cache(maxsize=64)
def _tables(topology: str, cores: int) -> tuple[npt.NDArray[np.int64], float]:
    import networkx as nx

    graph = topology_graph(topology, cores)
    hops = np.zeros((cores, cores), np.int64)
    for source, lengths in nx.all_pairs_shortest_path_length(graph):
        for goal, length in lengths.items():
            hops[source, goal] = length
    if cores == 1:
        return hops, 0.0
    # Betweenness counts unordered pairs; each link carries half of them in either direction.
    paths = nx.edge_betweenness_centrality(graph, normalized=False)
    return hops, max(paths.values()) / (cores - 1)


def network_tables(spec: PiumaSpec) -> Network:
    """Tables of the network that `spec` describes."""
    hops, load = _tables(spec.topology, spec.cores)
    latency = np.where(hops > 0, spec.network_cycles + hops * spec.hop_cycles, 0)
    port = max(spec.link_cycles, math.ceil(load * spec.link_cycles))
    return Network(latency.astype(np.int64), port, load, hops)
