"""Masks of activations, measured in a run: operands of products that are no weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sparsesim.trace import Mask, Operand, Unstructured
from sparsesim.trace.masks import PackedBits, kept, pack, unpack
from workloads.forward_graph import ForwardGemm

Side = Literal["a", "b"]
Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MeasuredMask:
    """Packed bits of one operand and the density of each of its channels (columns)."""

    bits: PackedBits
    columns: int
    channel_density: npt.NDArray[np.float64]

    @property
    def density(self) -> float:
        return kept(self.bits) / (self.bits.shape[0] * self.columns)


class ActivationMasks:
    """Measured masks by product and side; what turned out dense has none."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, Side], MeasuredMask] = {}
        self._records: dict[str, Mask] = {}
        self.bits: dict[str, PackedBits] = {}

    def add(self, product: str, side: Side, rows: Kept, channels: int) -> None:
        """Note the nonzeros of one operand, (groups x rows, reduction) booleans.

        `channels` is the number of neighbouring columns after which the channels repeat (kernel
        taps of a convolution).
        """
        if rows.all():
            return
        per_column = rows.mean(axis=0)
        channel_density = per_column.reshape(-1, channels).mean(axis=0)
        self._measured[product, side] = MeasuredMask(pack(rows), rows.shape[1], channel_density)

    def operand(self, step: ForwardGemm, side: Side, tensor: str) -> Operand:
        """The operand of a forward product."""
        return self._operand(tensor, f"{tensor}@{step.name}.{side}", self._measured.get(
            (step.name, side)))  # fmt: skip

    def transposed(self, step: ForwardGemm, tensor: str) -> Operand:
        """Operand A as the weight gradient reads it: groups x k rows of m."""
        found = self._measured.get((step.name, "a"))
        if found is None:
            return Operand(tensor=tensor)
        matrix = unpack(found.bits, found.columns).reshape(step.groups, step.m, step.k)
        turned = pack(matrix.transpose(0, 2, 1).reshape(step.groups * step.k, step.m))
        measured = MeasuredMask(turned, step.m, np.empty(0))
        return self._operand(tensor, f"{tensor}@{step.name}.WU", measured)

    @property
    def records(self) -> tuple[Mask, ...]:
        return tuple(self._records.values())

    def described(self) -> dict[str, str]:
        """Zeros of each measured operand in words: of the whole and of its channels."""
        words = {}
        for (product, side), found in self._measured.items():
            least, most = 1 - found.channel_density.max(), 1 - found.channel_density.min()
            words[product if side == "a" else f"{product} (B)"] = (
                f"{1 - found.density:.1%} zeros, {least:.1%} to {most:.1%} by channel"
            )
        return words

    def _operand(self, tensor: str, mask_id: str, found: MeasuredMask | None) -> Operand:
        if found is None:
            return Operand(tensor=tensor)
        for known, bits in self.bits.items():  # queries, keys and values read the same tensor
            same = self._records[known].tensor == tensor and bits.shape == found.bits.shape
            if same and np.array_equal(bits, found.bits):
                mask_id = known
                break
        self.bits[mask_id] = found.bits
        self._records[mask_id] = Mask(
            id=mask_id, tensor=tensor, rows=found.bits.shape[0], columns=found.columns
        )
        # A pattern's density is above zero, two equal frames have none: the mask is what counts.
        density = max(found.density, 1 / (found.bits.shape[0] * found.columns))
        return Operand(tensor=tensor, pattern=Unstructured(density=density), mask=mask_id)
