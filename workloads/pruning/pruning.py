"""Everything that weights can be pruned to."""

from __future__ import annotations

from sparsesim.trace import NM, Balanced, Dense, Unstructured
from workloads.pruning.allocation import ErdosRenyiKernel, GlobalMagnitude
from workloads.pruning.structures import Structure

#: What masks can ask for: patterns of the trace, structures, densities by layer.
Pruning = Dense | NM | Balanced | Unstructured | Structure | ErdosRenyiKernel | GlobalMagnitude
