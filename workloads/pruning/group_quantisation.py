"""Group-quantised sparse weights: what is kept of a group is stored in few bits.

Whole groups of neighbouring weights of one output are dropped; those kept are quantised with a
scale and a zero point of their own and stored as block-sparse rows, as in GQSA (arXiv 2412.17560).
GQSA weighs groups by a Hessian and tunes what is left; here they count by their magnitudes and
nothing is tuned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsesim.trace.patterns import Pattern
from workloads.forward_graph import Weight
from workloads.pruning.layouts import Kept, Shape
from workloads.pruning.methods import LayerPlan
from workloads.pruning.structures import Blocks, Product, Structure

#: Widths of what is stored besides the codes (assumed: FP16 scales, a zero point as wide as a
#: code, 16-bit numbers of groups within a row, 32-bit row pointers).
SCALE_BITS = 16
INDEX_BITS = 16
POINTER_BITS = 32

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GroupQuantised(Structure):
    """``gqsa:G:P[:BITS]``: groups of G inputs of one output; P of them dropped, the rest quantised.

    Attributes:
        group: neighbouring input channels of one kernel tap that are kept or dropped together and
            share a scale and a zero point.
        density: fraction of the groups of a layer that are kept.
        bits: of a code.
    """

    group: int
    density: float
    bits: int = 4

    @property
    def _blocks(self) -> Blocks:
        return Blocks(1, self.group, self.density)

    def misfit(self, shape: Shape) -> str | None:
        if shape[3] % self.group:
            return f"{shape[3]} input channels, not a multiple of the group of {self.group}"
        per_row = shape[2] * shape[3] // self.group
        if per_row > 2**INDEX_BITS:
            return f"{per_row} groups in a row, more than {INDEX_BITS} bits number"
        return None

    def keep(self, weights: Weights) -> Kept:
        return self._blocks.keep(weights)

    def claim(self, shape: Shape, product: Product) -> Pattern:
        return self._blocks.claim(shape, product)

    def kept_groups(self, shape: Shape) -> int:
        """Groups of a weight of `shape` that are kept."""
        groups = shape[0] * shape[1] * shape[2] * shape[3] // self.group
        return max(1, round(groups * self.density))

    def stored_bits(self, shape: Shape) -> dict[str, int]:
        """Bits of each part of the stored weight: block-sparse rows, one row per output."""
        kept = self.kept_groups(shape)
        return {
            "codes": kept * self.group * self.bits,
            "scales": kept * SCALE_BITS,
            "zero_points": kept * self.bits,
            "group_indices": kept * INDEX_BITS,
            "row_pointers": (shape[0] * shape[1] + 1) * POINTER_BITS,
        }

    def __str__(self) -> str:
        return f"groups of {self.group} in {self.bits} bits, {self.density:.3g} kept"


@dataclass(frozen=True)
class Quantised:
    """Groups of weights as codes: value = scale x (code - zero point).

    Attributes:
        codes: (groups, length) from 0 to 2**bits - 1.
        scales: (groups, 1) FP16.
        zero_points: (groups, 1), in the range of the codes.
    """

    codes: npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float16]
    zero_points: npt.NDArray[np.uint8]

    def values(self) -> Weights:
        """(groups, length) weights that the codes stand for."""
        offsets = self.codes.astype(np.float32) - self.zero_points.astype(np.float32)
        return offsets * self.scales.astype(np.float32)


def quantise(groups: Weights, bits: int) -> Quantised:
    """Round each row of `groups` (rows, length) to `bits`, asymmetrically, zero included.

    The range of a row is widened to hold 0 and divided evenly (as GPTQ does, arXiv 2210.17323). The
    scale is rounded to FP16 before the codes are, so that the codes are the nearest ones.
    """
    top = float(2**bits - 1)
    low = np.minimum(groups.min(axis=1, keepdims=True), 0.0)
    high = np.maximum(groups.max(axis=1, keepdims=True), 0.0)
    step = (high.astype(np.float64) - low) / top
    limits = np.finfo(np.float16)
    scales = np.clip(step, float(limits.smallest_subnormal), float(limits.max)).astype(np.float16)
    divisor = scales.astype(np.float32)
    zero_points = np.clip(np.rint(-low / divisor), 0.0, top)
    codes = np.clip(np.rint(groups / divisor) + zero_points, 0.0, top)
    return Quantised(codes.astype(np.uint8), scales, zero_points.astype(np.uint8))


def quantised_how(
    recipe: GroupQuantised, weights: Iterable[Weight], plans: Mapping[str, LayerPlan], lazy: bool
) -> dict[str, Any]:
    """What the provenance says of quantised layers: bytes stored by part, and the error made.

    `relative_error` is the Frobenius norm of what quantising changes in the weights kept, over
    theirs; a lazy network has no weights and no error.
    """
    layers: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    for weight in weights:
        if weight.parameter in seen or not plans[weight.parameter].forward:
            continue
        seen.add(weight.parameter)
        shape = (weight.groups, weight.outputs, weight.taps, weight.inputs)
        parts = {f"{name}_bytes": -(-n // 8) for name, n in recipe.stored_bits(shape).items()}
        layers[weight.layer] = {**parts, "stored_bytes": sum(parts.values())}
        if not lazy:
            layers[weight.layer]["relative_error"] = _relative_error(recipe, weight.values())
    return {
        "quantised_bits": recipe.bits,
        "quantised_group": recipe.group,
        "quantised_bytes": sum(layer["stored_bytes"] for layer in layers.values()),
        "quantised": layers,
    }


def _relative_error(recipe: GroupQuantised, values: Weights) -> float:
    kept = recipe.keep(values).reshape(-1, recipe.group)[:, 0]
    groups = values.reshape(-1, recipe.group)[kept]
    norm = float(np.linalg.norm(groups.astype(np.float64)))
    if norm == 0.0:
        return 0.0
    error = quantise(groups, recipe.bits).values().astype(np.float64) - groups
    return float(f"{np.linalg.norm(error) / norm:.4g}")
