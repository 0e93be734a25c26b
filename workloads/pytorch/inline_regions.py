"""Sub-graphs that the exporter makes of ``torch.no_grad()`` and ``torch.autocast`` regions.

torch.export itself drops a ``no_grad`` that stands inside an ``autocast``; the other order is kept.
"""

from __future__ import annotations

import operator
from typing import Any

from torch import fx

#: Higher-order operator -> index of the sub-graph among its arguments.
_REGIONS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}
#: Key of a node's `meta`: it ran under `torch.no_grad()`.
WITHOUT_GRADIENT = "sparsesim_without_gradient"


def inline_regions(module: fx.GraphModule) -> fx.Graph:
    """A copy of the module's graph with such regions (also nested ones) put in their place."""
    flat = fx.Graph()
    places: dict[fx.Node, Any] = {}
    result = _copy(module, flat, places, without_gradient=False)
    output = next(node for node in module.graph.nodes if node.op == "output")
    flat.output(result).meta = output.meta
    return flat


def _copy(
    module: fx.GraphModule, flat: fx.Graph, places: dict[fx.Node, Any], without_gradient: bool
) -> Any:
    """Append `module`'s nodes to `flat`; returns what its output node returns."""
    used_by_regions = {
        node.args[index]
        for node in module.graph.nodes
        if (index := _REGIONS.get(_name(node))) is not None
    }
    for node in module.graph.nodes:
        if node in places or node in used_by_regions:
            continue  # a placeholder that the caller has bound, or the region's own sub-graph
        index = _REGIONS.get(_name(node))
        if node.op == "output":
            return fx.node.map_arg(node.args[0], places.__getitem__)
        if index is not None:
            region = getattr(module, node.args[index].target)
            inner = {
                placeholder: places[argument]
                for placeholder, argument in zip(
                    (found for found in region.graph.nodes if found.op == "placeholder"),
                    node.args[index + 1 :],
                    strict=True,
                )
            }
            disabled = _name(node) == "wrap_with_set_grad_enabled" and not node.args[0]
            places[node] = _copy(region, flat, inner, without_gradient or disabled)
        elif node.target is operator.getitem and not isinstance(places[node.args[0]], fx.Node):
            places[node] = places[node.args[0]][node.args[1]]
        else:
            places[node] = flat.node_copy(node, places.__getitem__)
            if without_gradient:
                places[node].meta[WITHOUT_GRADIENT] = True
    raise AssertionError("a graph ends with its output")


def _name(node: fx.Node) -> str:
    return str(getattr(node.target, "__name__", "")) if node.op == "call_function" else ""
