"""Capture by running: for models whose control flow or sizes depend on data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.fx import traceback
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from workloads.pytorch.captured_graph import Captured
from workloads.pytorch.decompose import recurrent_decompositions
from workloads.pytorch.fast_path import unfused
from workloads.pytorch.network import Network


def record_run(network: Network) -> Captured:
    """Operators of one run of the module on its example inputs, with real values.

    The fused fast path of nn.MultiheadAttention is switched off: it would hide the products.
    """
    module = network.module
    parameters = dict(module.named_parameters())
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    leaves, structure = pytree.tree_flatten((network.args, network.kwargs))
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    constants: dict[str, Any] = {}

    def run(
        weights: dict[str, Tensor], state: dict[str, Tensor], inputs: list[Tensor]
    ) -> list[Tensor]:
        filled = list(leaves)
        for index, value in zip(places, inputs, strict=True):
            filled[index] = value
        args, kwargs = pytree.tree_unflatten(filled, structure)
        result = functional_call(module, {**weights, **state}, args, kwargs)
        return [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]

    inputs = [leaves[index].detach().clone() for index in places]
    with _module_paths(module), traceback.preserve_node_meta(), unfused(), _quiet():
        graph_module = make_fx(
            run,
            decomposition_table=recurrent_decompositions(),
            tracing_mode="real",
            pre_dispatch=True,
            _error_on_data_dependent_ops=False,
        )(parameters, buffers, inputs)
    graph = graph_module.graph
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    names = [*parameters, *buffers]
    for node in graph.nodes:
        if node.op == "get_attr":
            _as_placeholder(graph, node, getattr(graph_module, str(node.target)), constants)
    return Captured(
        module,
        graph,
        {node.name: name for node, name in zip(placeholders, parameters, strict=False)},
        {
            node.name: name
            for node, name in zip(placeholders[len(parameters) :], names[len(parameters) :],
                                  strict=False)
        },
        constants,
        recorded=True,
    )  # fmt: skip


def _as_placeholder(graph: fx.Graph, node: fx.Node, value: Any, constants: dict[str, Any]) -> None:
    """A tensor that the model's code made is a constant, as the exporter presents it."""
    with graph.inserting_before(next(iter(graph.nodes))):
        constant = graph.placeholder(f"constant_{node.name}")
    constant.meta["val"] = value
    constants[constant.name] = value
    node.replace_all_uses_with(constant)
    graph.erase_node(node)


@contextmanager
def _module_paths(module: nn.Module) -> Iterator[None]:
    """Note in every node which modules were being called when it ran."""
    stack: list[tuple[str, type]] = []

    def note() -> None:
        traceback.current_meta["nn_module_stack"] = {path: (path, kind) for path, kind in stack}

    def enter(path: str, kind: type) -> Any:
        def hook(_module: nn.Module, _args: Any) -> None:
            stack.append((path, kind))
            note()

        return hook

    def leave(_module: nn.Module, _args: Any, _out: Any) -> None:
        stack.pop()
        note()

    hooks = []
    for path, child in module.named_modules():
        hooks.append(child.register_forward_pre_hook(enter(path, type(child)), prepend=True))
        hooks.append(child.register_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
