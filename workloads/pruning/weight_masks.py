"""Masks of weights in the two layouts in which the GEMMs read them.

Weights are (groups, outputs, taps, inputs). The FF mask has a row per output and columns
(kernel taps, inputs); the BP mask a row per input and columns (kernel taps, outputs). Taps keep
the order of the weight in both (row by row), although a back-propagated convolution meets them
reversed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.trace import NM, Balanced, Dense, Mask, Operand, Unstructured
from sparsesim.trace.masks import PackedBits, kept, pack, unpack
from workloads.forward_graph import Weight, WeightArray
from workloads.pruning.magnitude import largest_bits, top_n_bits
from workloads.pruning.methods import LayerPlan
from workloads.recipe import Pruning


def select(matrix: npt.NDArray[np.float32], pattern: Pruning) -> PackedBits:
    """Packed bits of what `pattern` keeps of a (rows, reduction) matrix, by magnitude."""
    if isinstance(pattern, NM):
        return top_n_bits(matrix, pattern.n, pattern.m)
    if isinstance(pattern, Balanced):
        return top_n_bits(matrix, pattern.kept, pattern.group)
    assert isinstance(pattern, Unstructured)
    return largest_bits(matrix, max(1, round(matrix.size * pattern.density)))


def forward_matrix(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(groups, outputs, taps, inputs) as (groups x outputs, taps x inputs)."""
    groups, outputs, taps, inputs = weights.shape
    return weights.reshape(groups * outputs, taps * inputs)


def backward_matrix(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(groups, outputs, taps, inputs) as (groups x inputs, taps x outputs)."""
    groups, outputs, taps, inputs = weights.shape
    return weights.transpose(0, 3, 2, 1).reshape(groups * inputs, taps * outputs)


def forward_bits(weights: WeightArray, pattern: Pruning) -> PackedBits:
    """FF mask: groups run along the input channels."""
    return select(forward_matrix(weights), pattern)  # type: ignore[arg-type]


def backward_bits(weights: WeightArray, pattern: Pruning) -> PackedBits:
    """BP mask: groups run along the output channels."""
    if isinstance(pattern, Unstructured):  # has no axis: the same weights go in both directions
        return turned(forward_bits(weights, pattern), weights.shape)
    return select(backward_matrix(weights), pattern)  # type: ignore[arg-type]


def turned(forward: PackedBits, shape: tuple[int, ...]) -> PackedBits:
    """An FF mask of weights of `shape`, in the layout of the BP mask."""
    columns = shape[2] * shape[3]
    return pack(backward_matrix(unpack(forward, columns).reshape(shape)))  # type: ignore[arg-type]


class WeightMasks:
    """Masks of a trace's weight operands, cut when first asked for and shared between uses."""

    def __init__(self, plans: dict[str, LayerPlan]) -> None:
        self._plans = plans
        self._records: dict[str, Mask] = {}
        self.bits: dict[str, PackedBits] = {}

    @property
    def records(self) -> tuple[Mask, ...]:
        return tuple(self._records.values())

    def plan(self, weight: Weight) -> LayerPlan:
        """What is pruned of a weight."""
        return self._plans.get(weight.parameter, LayerPlan(Dense()))

    def forward(self, weight: Weight) -> Operand:
        """B operand of the FF (or inference) GEMM."""
        plan = self.plan(weight)
        if not plan.forward:
            return Operand(tensor=weight.parameter)
        bits = forward_bits(weight.values(), plan.pattern)
        return self._operand(weight, "FF", plan.pattern, bits, weight.taps * weight.inputs)

    def backward(self, weight: Weight) -> Operand:
        """B operand of the BP GEMM."""
        plan = self.plan(weight)
        if plan.backward is None:
            return Operand(tensor=weight.parameter)
        weights = weight.values()
        pattern = plan.pattern
        if plan.backward == "n":
            bits = turned(forward_bits(weights, pattern), weights.shape)
            if isinstance(pattern, NM | Balanced):
                pattern = pattern.model_copy(update={"axis": "n"})
        else:
            bits = backward_bits(weights, pattern)
        return self._operand(weight, "BP", pattern, bits, weight.taps * weight.outputs)

    def _operand(
        self, weight: Weight, phase: str, pattern: Pruning, bits: PackedBits, columns: int
    ) -> Operand:
        mask_id, use = f"{weight.parameter}@{phase}", 1
        # Uses of one parameter with different layouts (tied weights) get masks of their own.
        while mask_id in self.bits and not np.array_equal(self.bits[mask_id], bits):
            use += 1
            mask_id = f"{weight.parameter}@{phase}{use}"
        self.bits[mask_id] = bits
        self._records[mask_id] = Mask(
            id=mask_id, tensor=weight.parameter, rows=bits.shape[0], columns=columns
        )
        if isinstance(pattern, Unstructured):
            pattern = Unstructured(density=kept(bits) / (bits.shape[0] * columns))
        return Operand(tensor=weight.parameter, pattern=pattern, mask=mask_id)
