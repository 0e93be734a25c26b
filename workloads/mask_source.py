"""What the trace builder asks of a source of masks: pruned here, found in the weights, or drawn."""

from __future__ import annotations

from typing import Protocol

from sparsesim.trace import Mask, Operand
from sparsesim.trace.masks import PackedBits
from workloads.forward_graph import Weight
from workloads.pruning.methods import LayerPlan


class MaskSource(Protocol):
    """What the trace builder asks of `WeightMasks`, `FoundMasks` and `DrawnMasks`."""

    bits: dict[str, PackedBits]

    @property
    def records(self) -> tuple[Mask, ...]:
        """Masks named by operands handed out so far."""

    def plan(self, weight: Weight, /) -> LayerPlan:
        """What is pruned of a weight."""

    def forward(self, weight: Weight) -> Operand:
        """B operand of the FF (or inference) GEMM."""

    def backward(self, weight: Weight) -> Operand:
        """B operand of the BP GEMM."""
