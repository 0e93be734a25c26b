"""Latency and bandwidth tables of the network."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction

import networkx as nx
import pytest

from sparsesim.machines.piuma.network import grid_extents, network_tables, topology_graph
from tests.machines.piuma.small_products import machine


@pytest.mark.parametrize("topology", ["mesh", "torus", "hyperx"])
@pytest.mark.parametrize("cores", [2, 6, 9, 16])
def test_channel_load_counts_paths(topology: str, cores: int) -> None:
    graph = topology_graph(topology, cores)
    load: Counter[tuple[int, int]] = Counter()
    for source, goal in itertools.permutations(range(cores), 2):
        paths = list(nx.all_shortest_paths(graph, source, goal))
        for path in paths:
            for link in itertools.pairwise(path):
                load[link] += Fraction(1, len(paths))  # type: ignore[assignment]
    busiest = float(max(load.values())) / (cores - 1)
    tables = network_tables(machine("smash_v3", cores=cores, topology=topology))
    assert tables.channel_load == pytest.approx(busiest)
    assert tables.port_cycles >= busiest


def test_latency_grows_with_hops() -> None:
    tables = network_tables(
        machine("smash_v3", cores=16, topology="mesh", network_cycles=10, hop_cycles=3)
    )
    assert grid_extents(16) == (4, 4)
    assert tables.latency[0, 0] == 0
    assert tables.latency[0, 15] == 10 + 6 * 3
    assert (tables.latency == tables.latency.T).all()


def test_hyperx_is_two_hops_wide() -> None:
    assert network_tables(machine("smash_v3", cores=64, topology="hyperx")).hops.max() == 2
    assert network_tables(machine("smash_v3", cores=64, topology="mesh")).hops.max() == 14
