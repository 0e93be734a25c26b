"""PIUMA: multithreaded cores that run SpGEMM kernels instruction by instruction (docs/piuma.md)."""

from sparsesim.machines.piuma.spec import PiumaSpec

SPEC = PiumaSpec

__all__ = ["SPEC", "PiumaSpec"]
