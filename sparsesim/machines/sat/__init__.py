"""SAT: an N:M sparse training array of unified sparse PEs (docs/sat.md)."""

from sparsesim.machines.sat.spec import SatSpec

SPEC = SatSpec

__all__ = ["SPEC", "SatSpec"]
