"""Monarch matrices: the shapes of two block-diagonal factors in place of a dense matrix.

y = P2 L P1 R x: R holds B blocks on its diagonal that turn inputs/B into middle/B values, P1 deals
the values of each block out evenly over the B blocks of L, and these turn middle/B values into
outputs/B. Middle is the smaller of inputs and outputs (Dao et al., arXiv 2204.00595).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Monarch:
    """``monarch:B``: every linear layer that allows it becomes two products of B blocks each."""

    blocks: int

    def misfit(self, outputs: int, inputs: int) -> str | None:
        """Why a linear layer of these sizes has no such factors, or None."""
        for extent, name in ((outputs, "outputs"), (inputs, "inputs")):
            if extent % self.blocks:
                return f"{extent} {name}, not a multiple of {self.blocks}"
        middle = min(outputs, inputs)
        if middle % self.blocks**2:
            return f"{middle} values between the factors, not a multiple of {self.blocks**2}"
        if self.macs(outputs, inputs) >= outputs * inputs:
            return f"{self.blocks} blocks save no multiplication at {outputs} x {inputs}"
        return None

    def factors(self, outputs: int, inputs: int) -> tuple[tuple[int, int, int], ...]:
        """Shapes of the factors of R and L: (blocks, outputs, inputs) of a block."""
        middle = min(outputs, inputs)
        b = self.blocks
        return (b, middle // b, inputs // b), (b, outputs // b, middle // b)

    def macs(self, outputs: int, inputs: int) -> int:
        """Multiply-accumulates for one input vector: middle (inputs + outputs) / B."""
        return min(outputs, inputs) * (inputs + outputs) // self.blocks

    def __str__(self) -> str:
        return f"Monarch matrices of {self.blocks} blocks"
