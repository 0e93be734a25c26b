"""Sparse architecture divergence: how many weights change sides between two masks of a network.

SAD(i, j) is the sum over layers of the elements in which the masks of steps i and j differ
(arXiv 2102.04010, which introduces it to explain the SR-STE term). Here it is divided by the
weights that have a mask, so that 0 is the same architecture and networks can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from workloads.pytorch.nm_autograd import pruned_layers

Direction = Literal["forward", "backward"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")


@dataclass(frozen=True)
class Architecture:
    """Which weights FF and BP keep, by layer; a layer whose direction is dense has no mask."""

    forward: dict[str, Tensor]
    backward: dict[str, Tensor]

    def masks(self, direction: Direction) -> dict[str, Tensor]:
        return self.forward if direction == "forward" else self.backward


def architecture(module: nn.Module) -> Architecture:
    """The masks that the pruned layers of `module` would use in their next step."""
    forward: dict[str, Tensor] = {}
    backward: dict[str, Tensor] = {}
    for name, layer in pruned_layers(module):
        masks = layer.masks()
        if masks.forward is not None:
            forward[name] = masks.forward > 0
        if masks.backward is not None:
            backward[name] = masks.backward > 0
    return Architecture(forward, backward)


def divergence(before: Architecture, after: Architecture, direction: Direction) -> float | None:
    """SAD between two states of one network as a fraction of its masked weights; None: no masks."""
    masks = before.masks(direction)
    if not masks:
        return None
    changed = sum(int((mask != after.masks(direction)[name]).sum()) for name, mask in masks.items())
    return changed / sum(mask.numel() for mask in masks.values())
