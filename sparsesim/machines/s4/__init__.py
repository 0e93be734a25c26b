"""S4: a high-sparsity inference chip for weights pruned in balanced groups (docs/s4.md)."""

from sparsesim.machines.s4.spec import S4Spec

SPEC = S4Spec

__all__ = ["SPEC", "S4Spec"]
