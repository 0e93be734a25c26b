"""A model with example inputs, from whatever source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from workloads.catalog import Training

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass
class Network:
    """A model with example inputs, and how a catalog entry trains it (if it does)."""

    source: str
    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    training: Training | None = None
    #: Where the weights come from, in words.
    weights: str = "seeded (no checkpoint)"
    #: The program of a ``.pt2`` file, which is captured already.
    program: ExportedProgram | None = None
    #: Samples in one step, where the example inputs do not say it first.
    samples: int | None = None
    #: Parameters of a catalog network and their values.
    configuration: dict[str, Any] = field(default_factory=dict)
    #: What a user should know of how the network was read.
    notes: list[str] = field(default_factory=list)

    @property
    def batch(self) -> int | None:
        """`samples`, or the leading extent of the first tensor among the example inputs."""
        if self.samples is not None:
            return self.samples
        for value in (*self.args, *self.kwargs.values()):
            if isinstance(value, torch.Tensor) and value.ndim:
                return int(value.shape[0])
        return None
