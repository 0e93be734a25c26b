"""Masks of weights that came with zeros, stored bit by bit."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from sparsesim.trace import Dense, Mask, Operand, Unstructured
from sparsesim.trace.masks import PackedBits, kept, pack
from sparsesim.trace.patterns import Pattern
from workloads.forward_graph import Weight
from workloads.pruning.layouts import backward_matrix, forward_matrix
from workloads.pruning.methods import LayerPlan
from workloads.weight_patterns import Detected, detect

#: The fraction in words such as `unstructured 49.8%`, which differs from layer to layer.
_FRACTION = re.compile(r" [\d.]+%")


class FoundMasks:
    """Masks of weights that came with zeros: the same weights go forward and backward."""

    def __init__(self) -> None:
        self._records: dict[str, Mask] = {}
        self._detected: dict[tuple[str, tuple[int, ...]], Detected] = {}
        self.bits: dict[str, PackedBits] = {}
        #: layer -> what was found, for every layer with weights.
        self.found: dict[str, Detected] = {}

    @property
    def sparse(self) -> bool:
        """Whether any layer has zeros that follow a pattern."""
        return any(detected.sparse for detected in self.found.values())

    def lines(self) -> list[str]:
        """A line per pattern that was found, with the first layers that follow it."""
        kinds: dict[str, list[str]] = {}
        for layer, detected in self.found.items():
            if detected.sparse or detected.density == 0.0:
                kinds.setdefault(_FRACTION.sub("", detected.words), []).append(layer)
        lines = []
        for kind, layers in kinds.items():
            words = sorted({self.found[layer].words for layer in layers})
            removed = sorted(1 - self.found[layer].density for layer in layers)
            stated = f"{kind} {removed[0]:.1%} to {removed[-1]:.1%}" if words[1:] else words[0]
            more = f" and {len(layers) - 3} more" if layers[3:] else ""
            lines.append(f"{stated}: {', '.join(layers[:3])}{more}")
        return lines

    @property
    def records(self) -> tuple[Mask, ...]:
        return tuple(self._records.values())

    def plan(self, _weight: Weight) -> LayerPlan:
        return LayerPlan(Dense())

    def forward(self, weight: Weight) -> Operand:
        nonzero = weight.values() != 0
        key = (weight.parameter, nonzero.shape)
        if key not in self._detected:
            self._detected[key] = detect(nonzero)
        found = self.found[weight.layer] = self._detected[key]
        if not found.sparse:
            return Operand(tensor=weight.parameter)
        return self._operand(weight, "FF", found.forward, _packed(forward_matrix(nonzero)),
                             weight.taps * weight.inputs)  # fmt: skip

    def backward(self, weight: Weight) -> Operand:
        nonzero = weight.values() != 0
        found = self._detected[weight.parameter, nonzero.shape]
        if not found.sparse:
            return Operand(tensor=weight.parameter)
        return self._operand(weight, "BP", found.backward, _packed(backward_matrix(nonzero)),
                             weight.taps * weight.outputs)  # fmt: skip

    def _operand(
        self, weight: Weight, phase: str, pattern: Pattern, bits: PackedBits, columns: int
    ) -> Operand:
        mask_id, use = f"{weight.parameter}@{phase}", 1
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


def _packed(matrix: npt.NDArray[np.generic]) -> PackedBits:
    return pack(matrix.astype(np.bool_, copy=False))
