"""Unstructured pruning whose densities differ between layers: Erdos-Renyi-kernel, and global."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparsesim.trace import Unstructured
from workloads.forward_graph import Weight


@dataclass(frozen=True)
class ErdosRenyiKernel:
    """``erk:P``: P of all prunable weights are removed, more from larger layers.

    Densities are proportional to (inputs + outputs + kernel height + width) / (their product),
    and 1 where that would exceed it (RigL, arXiv 1911.11134). A kernel is taken as square; one of
    one tap has no extent, as in a linear layer.
    """

    density: float

    def densities(self, weights: Sequence[Weight]) -> dict[str, float]:
        """Density of each parameter."""
        sizes = {weight.parameter: _size(weight) for weight in weights}
        raw = {weight.parameter: _raw(weight) for weight in weights}
        whole: set[str] = set()
        while True:
            budget = self.density * sum(sizes.values()) - sum(sizes[name] for name in whole)
            divisor = sum(raw[name] * sizes[name] for name in sizes if name not in whole)
            if divisor == 0.0:
                return dict.fromkeys(sizes, 1.0)
            scale = budget / divisor
            full = {name for name in sizes if name not in whole and scale * raw[name] > 1.0}
            if not full:
                return {name: 1.0 if name in whole else scale * raw[name] for name in sizes}
            whole |= full

    def __str__(self) -> str:
        return f"Erdos-Renyi-kernel, {self.density:.3g} kept"


@dataclass(frozen=True)
class GlobalMagnitude:
    """``global:P``: the P smallest of all prunable weights are removed, wherever they are.

    Equal magnitudes are kept in the order of the layers.
    """

    density: float

    def densities(self, weights: Sequence[Weight]) -> dict[str, float]:
        """Density of each parameter, from its values now."""
        magnitudes = {
            weight.parameter: np.abs(weight.values()).astype(np.float32, copy=False).ravel()
            for weight in weights
        }
        everything = np.concatenate(list(magnitudes.values()))
        kept = max(1, round(everything.size * self.density))
        everything.partition(everything.size - kept)
        threshold = everything[everything.size - kept]
        above = {name: int((values > threshold).sum()) for name, values in magnitudes.items()}
        ties = kept - sum(above.values())
        found = {}
        for name, values in magnitudes.items():
            taken = min(ties, int((values == threshold).sum()))
            ties -= taken
            found[name] = (above[name] + taken) / values.size
        return found

    def __str__(self) -> str:
        return f"global magnitude, {self.density:.3g} kept"


Allocation = ErdosRenyiKernel | GlobalMagnitude


def allocate(recipe: Allocation, weights: Sequence[Weight]) -> Mapping[str, Unstructured]:
    """The unstructured pattern of each parameter; at least one weight of each is kept."""
    unique = list({weight.parameter: weight for weight in weights}.values())
    return {
        name: Unstructured(density=max(density, 0.5 / _size(weight)))
        for (name, density), weight in zip(recipe.densities(unique).items(), unique, strict=True)
    }


def _size(weight: Weight) -> int:
    return weight.groups * weight.outputs * weight.taps * weight.inputs


def _raw(weight: Weight) -> float:
    outputs, inputs = weight.groups * weight.outputs, weight.inputs
    kernel = 2.0 * weight.taps**0.5 if weight.taps > 1 else 0.0
    return float((outputs + inputs + kernel) / (outputs * inputs * weight.taps))
