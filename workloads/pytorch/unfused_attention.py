"""Attention written out as two products with a softmax between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import fx

from workloads.pytorch.aten_functions import PARTIAL_VIEWS, WHOLE_VIEWS
from workloads.pytorch.lowering_context import ProductOrigin, base_name

_SOFTMAX = frozenset(["softmax", "_softmax"])
#: What may stand between a product and the softmax: scale, bias, mask, another part, a view.
_BETWEEN = (
    frozenset("add cat clamp div dropout getitem masked_fill mul sub where".split())  # noqa: SIM905
    | WHOLE_VIEWS
    | PARTIAL_VIEWS
)


@dataclass(frozen=True)
class UnfusedAttention:
    """Names of the product that gives the scores and of the one that weighs the values."""

    scores: str
    values: str


def unfused_attentions(
    graph: fx.Graph, products: Mapping[str, ProductOrigin]
) -> tuple[UnfusedAttention, ...]:
    """Softmaxes that stand between two products, of which the second reads it as operand A."""
    by_node = {origin.node: name for name, origin in products.items()}
    found = []
    for node in graph.nodes:
        if node.op != "call_function" or base_name(node) not in _SOFTMAX:
            continue
        scores = _first(node, by_node, lambda at: at.all_input_nodes)
        values = _first(node, by_node, lambda at: at.users)
        if scores is not None and values is not None and scores != values:
            found.append(UnfusedAttention(by_node[scores], by_node[values]))
    return tuple(found)


def _first(
    start: fx.Node,
    products: Mapping[fx.Node, str],
    neighbours: Callable[[fx.Node], Iterable[fx.Node]],
) -> fx.Node | None:
    """The nearest product, over nothing but `_BETWEEN`."""
    waiting, seen = list(neighbours(start)), {start}
    while waiting:
        node = waiting.pop(0)
        if node in seen:
            continue
        seen.add(node)
        if node in products:
            return node
        if node.op == "call_function" and _name(node) in _BETWEEN:
            waiting += neighbours(node)
    return None


def _name(node: fx.Node) -> str:
    return base_name(node) or str(getattr(node.target, "__name__", ""))
