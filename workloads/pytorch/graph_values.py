"""Values of the graph nodes that depend on parameters and constants alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from workloads.pytorch.captured_graph import Captured


class GraphValues:
    """Evaluates nodes such as `weight_orig * weight_mask` from the module's present values."""

    def __init__(self, captured: Captured) -> None:
        self._captured = captured
        self._known: set[fx.Node] = set()
        self._constant: set[fx.Node] = set()

    def mark(self, node: fx.Node) -> bool:
        """Note `node` as evaluable where all it reads is; returns whether it is."""
        captured = self._captured
        if node.op == "placeholder":
            known = (
                node.name in captured.parameters
                or node.name in captured.buffers
                or node.name in captured.constants
            )
        else:
            known = all(source in self._known for source in node.all_input_nodes)
        if known:
            self._known.add(node)
            if node.name not in captured.parameters and all(
                source in self._constant for source in node.all_input_nodes
            ):
                self._constant.add(node)
        return known

    def is_constant(self, node: fx.Node) -> bool:
        """Whether no parameter goes into `node`, so that it can be computed ahead of time."""
        return node in self._constant

    def __contains__(self, node: fx.Node) -> bool:
        return node in self._known

    def evaluate(self, node: fx.Node) -> Any:
        """Value of an evaluable node; parameters and buffers are left untouched."""
        captured = self._captured
        if node.op == "placeholder":
            if node.name in captured.parameters:
                return captured.parameter(node.name)
            if node.name in captured.buffers:
                return captured.buffer(node.name)
            return captured.constants[node.name]
        args = fx.node.map_arg(node.args, self.evaluate)
        kwargs = fx.node.map_arg(node.kwargs, self.evaluate)
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.is_mutable:
            args = tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)
        assert callable(node.target)
        with torch.no_grad():
            return node.target(*args, **kwargs)
