"""Masks as descriptors: nothing is stored, and no weight is read."""

from __future__ import annotations

import hashlib

from sparsesim.trace import NM, Balanced, Dense, Generator, Mask, Operand, Unstructured
from sparsesim.trace.masks import PackedBits
from sparsesim.trace.patterns import Pattern
from workloads.forward_graph import Weight
from workloads.pruning.methods import LayerPlan
from workloads.pruning.weight_masks import claimed


class DrawnMasks:
    """Masks that are descriptors alone (pattern, density, seed): drawn when somebody reads them.

    No weight is read. A pattern that descriptors cannot hold (groups along the output channels,
    blocks) is stated without a mask.
    """

    def __init__(self, plans: dict[str, LayerPlan], seed: int) -> None:
        self._plans = plans
        self._seed = seed
        self._records: dict[str, Mask] = {}
        self.bits: dict[str, PackedBits] = {}

    @property
    def records(self) -> tuple[Mask, ...]:
        return tuple(self._records.values())

    def plan(self, weight: Weight) -> LayerPlan:
        return self._plans.get(weight.parameter, LayerPlan(Dense()))

    def forward(self, weight: Weight) -> Operand:
        plan = self.plan(weight)
        if not plan.forward:
            return Operand(tensor=weight.parameter)
        rows, columns = weight.groups * weight.outputs, weight.taps * weight.inputs
        return self._operand(weight, "FF", claimed(plan.pattern, weight, "FF"), rows, columns)

    def backward(self, weight: Weight) -> Operand:
        plan = self.plan(weight)
        if plan.backward is None:
            return Operand(tensor=weight.parameter)
        pattern = claimed(plan.pattern, weight, "BP")
        if plan.backward == "n" and isinstance(plan.pattern, NM | Balanced):
            pattern = plan.pattern.model_copy(update={"axis": "n"})
        rows, columns = weight.groups * weight.inputs, weight.taps * weight.outputs
        return self._operand(weight, "BP", pattern, rows, columns)

    def _operand(
        self, weight: Weight, phase: str, pattern: Pattern, rows: int, columns: int
    ) -> Operand:
        drawable = isinstance(pattern, Unstructured) or (
            isinstance(pattern, NM | Balanced) and pattern.axis == "k"
        )
        if not drawable or (phase == "BP" and isinstance(pattern, Unstructured)):
            # BP of an unstructured weight reads the FF mask turned, which is another drawing.
            return Operand(tensor=weight.parameter, pattern=pattern)
        mask_id = f"{weight.parameter}@{phase}"
        before = self._records.get(mask_id)
        if before is not None and (before.rows, before.columns) != (rows, columns):
            return Operand(tensor=weight.parameter, pattern=pattern)
        assert isinstance(pattern, NM | Balanced | Unstructured)
        generator = Generator(pattern=pattern, seed=_seed_of(self._seed, mask_id))
        self._records[mask_id] = Mask(
            id=mask_id, tensor=weight.parameter, rows=rows, columns=columns, generator=generator
        )
        return Operand(tensor=weight.parameter, pattern=pattern, mask=mask_id)


def _seed_of(seed: int, mask_id: str) -> int:
    """A seed of its own for each mask, the same on every machine."""
    digest = hashlib.blake2s(f"{seed}:{mask_id}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "little")
