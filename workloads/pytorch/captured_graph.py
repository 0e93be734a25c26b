"""A captured forward pass: the graph and what its placeholders stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn


@dataclass(frozen=True)
class Captured:
    """The exported graph and what its placeholders stand for.

    Attributes:
        parameters, buffers: placeholder name -> dotted name in the module.
        constants: placeholder name -> tensor that the model's code created.
        recorded: the graph is of one real run, so that sizes which depend on data (tokens of an
            expert) are those of that run and may be zero.
    """

    module: nn.Module
    graph: fx.Graph
    parameters: dict[str, str]
    buffers: dict[str, str]
    constants: dict[str, Any]
    recorded: bool = False

    def parameter(self, placeholder: str) -> Tensor:
        """Present value of a parameter (training may have changed it since the capture)."""
        return self.module.get_parameter(self.parameters[placeholder]).detach()

    def buffer(self, placeholder: str) -> Tensor:
        return self.module.get_buffer(self.buffers[placeholder])

    def has_children(self, path: str) -> bool:
        """Whether the submodule at `path` is made of others (a read program has none without)."""
        try:
            return any(True for _ in self.module.get_submodule(path).children())
        except AttributeError:
            return False
