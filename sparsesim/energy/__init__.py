"""Energy per action, with sources."""

from sparsesim.energy.table import energy_pj, moved_energy, nodes

__all__ = ["energy_pj", "moved_energy", "nodes"]
