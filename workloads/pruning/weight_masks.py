"""Masks of weights as the GEMMs of a trace read them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.trace import NM, Balanced, Dense, Mask, Operand, Unstructured
from sparsesim.trace.masks import PackedBits, kept
from sparsesim.trace.patterns import Pattern
from workloads.forward_graph import Weight, WeightArray
from workloads.pruning.layouts import (
    Kept,
    backward_matrix,
    forward_matrix,
    from_backward,
    from_forward,
    pack_backward,
    pack_forward,
)
from workloads.pruning.magnitude import largest_bits, top_n_bits
from workloads.pruning.methods import LayerPlan
from workloads.pruning.pruning import Pruning
from workloads.pruning.structures import Product, Structure
from workloads.pruning.transposable import transposable_mask
from workloads.pruning.two_pass import Order, pruned_twice, search_order


def select(matrix: npt.NDArray[np.float32], pattern: Pruning) -> PackedBits:
    """Packed bits of what `pattern` keeps of a (rows, reduction) matrix, by magnitude."""
    if isinstance(pattern, NM):
        return top_n_bits(matrix, pattern.n, pattern.m)
    if isinstance(pattern, Balanced):
        return top_n_bits(matrix, pattern.kept, pattern.group)
    assert isinstance(pattern, Unstructured)
    return largest_bits(matrix, max(1, round(matrix.size * pattern.density)))


def forward_mask(weights: WeightArray, plan: LayerPlan) -> Kept | None:
    """What FF keeps, shaped like the weights (groups, outputs, taps, inputs); None: everything."""
    if not plan.forward:
        return None
    if plan.backward == "both":
        assert isinstance(plan.pattern, NM)
        return transposable_mask(weights, plan.pattern.n, plan.pattern.m)
    if isinstance(plan.pattern, Structure):
        return plan.pattern.keep(weights)
    bits = select(forward_matrix(weights), plan.pattern)  # type: ignore[arg-type]
    return from_forward(bits, weights.shape)


def backward_mask(
    weights: WeightArray, plan: LayerPlan, forward: Kept | None, order: Order | None = None
) -> Kept | None:
    """What BP keeps, shaped like the weights; None: everything.

    Args:
        forward: `forward_mask` of the same plan.
        order: of the outputs, where the plan permutes them.
    """
    if plan.backward is None:
        return None
    if plan.backward in ("n", "both"):
        return forward
    if plan.backward in ("twice", "permuted"):
        assert forward is not None
        assert isinstance(plan.pattern, NM)
        return pruned_twice(weights, forward, plan.pattern, order)
    if isinstance(plan.pattern, Structure):
        return plan.pattern.keep(weights)
    if isinstance(plan.pattern, Unstructured):  # has no axis: the same weights in both directions
        bits = select(forward_matrix(weights), plan.pattern)  # type: ignore[arg-type]
        return from_forward(bits, weights.shape)
    bits = select(backward_matrix(weights), plan.pattern)  # type: ignore[arg-type]
    return from_backward(bits, weights.shape)


def claimed(recipe: Pruning, weight: Weight, product: Product) -> Pattern:
    """The pattern that operand B of a product follows when `recipe` pruned the weight."""
    if isinstance(recipe, Structure):
        shape = (weight.groups, weight.outputs, weight.taps, weight.inputs)
        return recipe.claim(shape, product)
    assert isinstance(recipe, Dense | NM | Balanced | Unstructured)
    return recipe


class WeightMasks:
    """Masks of a trace's weight operands, cut when first asked for and shared between uses."""

    def __init__(self, plans: dict[str, LayerPlan]) -> None:
        self._plans = plans
        self._records: dict[str, Mask] = {}
        self._forward: dict[Weight, PackedBits] = {}
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
        mask = forward_mask(weight.values(), plan) if plan.forward else None
        if mask is None:
            return Operand(tensor=weight.parameter)
        bits = self._forward[weight] = pack_forward(mask)
        return self._operand(weight, "FF", plan.pattern, bits, weight.taps * weight.inputs)

    def backward(self, weight: Weight) -> Operand:
        """B operand of the BP GEMM.

        Where the plan permutes the outputs, the columns of the mask are in that order: the array
        reads the output gradient so.
        """
        plan = self.plan(weight)
        if plan.backward is None:
            return Operand(tensor=weight.parameter)
        weights, pattern = weight.values(), plan.pattern
        forward = None
        if plan.backward != "k":  # else cut from the weights alone
            known = self._forward.get(weight)
            forward = (
                forward_mask(weights, plan) if known is None else from_forward(known, weights.shape)
            )
        order = None
        if plan.backward == "permuted":
            assert forward is not None
            assert isinstance(pattern, NM)
            order = search_order(weights, forward, pattern, seed=0)
        mask = backward_mask(weights, plan, forward, order)
        assert mask is not None
        if plan.backward == "n" and isinstance(pattern, NM | Balanced):
            pattern = pattern.model_copy(update={"axis": "n"})
        bits = pack_backward(mask if order is None else mask[:, order])
        return self._operand(weight, "BP", pattern, bits, weight.taps * weight.outputs)

    def _operand(
        self, weight: Weight, phase: Product, recipe: Pruning, bits: PackedBits, columns: int
    ) -> Operand:
        pattern = claimed(recipe, weight, phase)
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
