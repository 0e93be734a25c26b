"""Recipes that keep one set of weights for both directions, each a small record.

All have one interface: `misfit` says why a weight cannot have the structure, `keep` selects, and
`claim` states the pattern that the operands of FF and BP then follow. N:M and balanced groups along
the reduction, which FF and BP cut anew, and unstructured pruning are patterns of the trace itself
(`sparsesim.trace`); `workloads.pruning.weight_masks` treats them.

Weights are (groups, outputs, taps, inputs). Selections are by magnitude;
ties go to the lower index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sparsesim.trace import NM, Balanced, Block, Unstructured
from sparsesim.trace.patterns import Pattern
from workloads.pruning.layouts import (
    Kept,
    Shape,
    backward_matrix,
    forward_matrix,
    from_backward,
    from_forward,
)
from workloads.pruning.magnitude import largest, row_largest, top_n_bits
from workloads.pruning.transposable import transposable_mask
from workloads.pruning.two_pass import pruned_twice

Product = Literal["FF", "BP"]
Weights = npt.NDArray[np.float32]


class Structure(ABC):
    """What a recipe of this module can do."""

    @abstractmethod
    def misfit(self, shape: Shape, /) -> str | None:
        """Why weights of `shape` cannot have this structure, or None."""

    @abstractmethod
    def keep(self, weights: Weights) -> Kept:
        """What is kept of weights that fit, shaped like them."""

    @abstractmethod
    def claim(self, shape: Shape, product: Product, /) -> Pattern:
        """The pattern of operand B of a product: its k axis is the reduction."""


def _divides(group: int, shape: Shape, both: bool = True) -> str | None:
    """Why groups of `group` do not fit the outputs, or with `both` the inputs."""
    for extent, name in ((shape[1], "output"), (shape[3], "input")):
        if extent % group and (both or name == "output"):
            return f"{extent} {name} channels, not a multiple of {group}"
    return None


@dataclass(frozen=True)
class AlongOutputs(Structure):
    """``nm:N:M:outputs``: N of every M neighbouring output channels, which FF does not reduce."""

    pattern: NM

    def misfit(self, shape: Shape) -> str | None:
        return _divides(self.pattern.m, shape, both=False)

    def keep(self, weights: Weights) -> Kept:
        matrix = backward_matrix(weights)
        bits = top_n_bits(matrix, self.pattern.n, self.pattern.m)  # type: ignore[arg-type]
        return from_backward(bits, weights.shape)

    def claim(self, _shape: Shape, product: Product) -> Pattern:
        return NM(n=self.pattern.n, m=self.pattern.m, axis="n" if product == "FF" else "k")

    def __str__(self) -> str:
        return f"{self.pattern.n}:{self.pattern.m} along the outputs"


@dataclass(frozen=True)
class BothAxes(Structure):
    """``nm:N:M:both``: exactly N of every M along both axes, the largest sum there is."""

    pattern: NM

    def misfit(self, shape: Shape) -> str | None:
        return _divides(self.pattern.m, shape)

    def keep(self, weights: Weights) -> Kept:
        return transposable_mask(weights, self.pattern.n, self.pattern.m)

    def claim(self, _shape: Shape, _product: Product) -> Pattern:
        return self.pattern

    def __str__(self) -> str:
        return f"{self.pattern.n}:{self.pattern.m} along both axes"


@dataclass(frozen=True)
class DoublePruned(Structure):
    """``nm:N:M:double``: N of every M along the inputs; of these N of M along the outputs."""

    pattern: NM

    def misfit(self, shape: Shape) -> str | None:
        return _divides(self.pattern.m, shape)

    def keep(self, weights: Weights) -> Kept:
        matrix = forward_matrix(weights)
        bits = top_n_bits(matrix, self.pattern.n, self.pattern.m)  # type: ignore[arg-type]
        return pruned_twice(weights, from_forward(bits, weights.shape), self.pattern)

    def claim(self, _shape: Shape, _product: Product) -> Pattern:
        return self.pattern

    def __str__(self) -> str:
        return f"{self.pattern.n}:{self.pattern.m} pruned twice"


@dataclass(frozen=True)
class Blocks(Structure):
    """``block:RxC:P``: whole blocks of R outputs x C inputs of one kernel tap; P of them dropped.

    A block counts by the sum of its magnitudes.
    """

    rows: int
    columns: int
    density: float

    def misfit(self, shape: Shape) -> str | None:
        _, outputs, _, inputs = shape
        if outputs % self.rows or inputs % self.columns:
            return (
                f"{outputs} x {inputs} channels are not whole {self.rows} x {self.columns} blocks"
            )
        return None

    def keep(self, weights: Weights) -> Kept:
        groups, outputs, taps, inputs = weights.shape
        blocks = np.abs(weights).reshape(
            groups, outputs // self.rows, self.rows, taps, inputs // self.columns, self.columns
        )
        sums = blocks.sum(axis=(2, 5), dtype=np.float64)
        kept = largest(sums, max(1, round(sums.size * self.density)))
        return np.repeat(np.repeat(kept, self.rows, axis=1), self.columns, axis=3)

    def claim(self, shape: Shape, product: Product) -> Pattern:
        blocks = shape[0] * shape[1] * shape[2] * shape[3] // (self.rows * self.columns)
        density = max(1, round(blocks * self.density)) / blocks
        sides = (self.rows, self.columns) if product == "FF" else (self.columns, self.rows)
        return Block(rows=sides[0], columns=sides[1], density=density)

    def __str__(self) -> str:
        return f"blocks of {self.rows}x{self.columns}, {self.density:.3g} kept"


@dataclass(frozen=True)
class ConstantFanIn(Structure):
    """``fanin:P``: every output keeps as many of its weights, over all taps and inputs (SRigL)."""

    density: float

    def misfit(self, _shape: Shape) -> str | None:
        return None

    def fan_in(self, shape: Shape) -> int:
        """Weights that each output keeps."""
        return max(1, round(shape[2] * shape[3] * self.density))

    def keep(self, weights: Weights) -> Kept:
        matrix = np.asarray(forward_matrix(weights), dtype=np.float32)
        return row_largest(matrix, self.fan_in(weights.shape)).reshape(weights.shape)

    def claim(self, shape: Shape, product: Product) -> Pattern:
        if shape[2] == 1:  # with one tap the whole row is one group
            axis: Literal["k", "n"] = "k" if product == "FF" else "n"
            return Balanced(group=shape[3], kept=self.fan_in(shape), axis=axis)
        return Unstructured(density=self.fan_in(shape) / (shape[2] * shape[3]))

    def __str__(self) -> str:
        return f"constant fan-in, {self.density:.3g} kept"


@dataclass(frozen=True)
class FlatButterfly(Structure):
    """``butterfly:B``: fixed B x B blocks where the factors of a butterfly matrix have theirs.

    Block (i, j) is kept where i = j or i xor j is a power of two: the sum of all factors with the
    residual, flattened to one mask (Pixelated Butterfly, arXiv 2112.00029). A grid that is not
    square is stretched to its longer side.
    """

    block: int

    def misfit(self, shape: Shape) -> str | None:
        return _divides(self.block, shape)

    def grid(self, shape: Shape) -> npt.NDArray[np.bool_]:
        """(outputs / B, inputs / B): which blocks are kept."""
        rows, columns = shape[1] // self.block, shape[3] // self.block
        side = max(rows, columns)
        row = (np.arange(rows) * side // rows)[:, None]
        column = (np.arange(columns) * side // columns)[None, :]
        distance = row ^ column
        kept: npt.NDArray[np.bool_] = (distance & (distance - 1)) == 0
        return kept

    def keep(self, weights: Weights) -> Kept:
        grid = np.repeat(np.repeat(self.grid(weights.shape), self.block, 0), self.block, 1)
        return np.broadcast_to(grid[None, :, None, :], weights.shape).copy()

    def claim(self, shape: Shape, _product: Product) -> Pattern:
        density = float(self.grid(shape).mean())
        return Block(rows=self.block, columns=self.block, density=density)

    def __str__(self) -> str:
        return f"butterfly of {self.block}x{self.block} blocks"
