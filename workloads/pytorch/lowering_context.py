"""State shared by the functions that lower graph nodes: views, names, steps so far."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx

from sparsesim.errors import InputError
from sparsesim.trace.operators import DType, Role
from workloads.forward_graph import (
    Backward,
    ForwardPointwise,
    ForwardStep,
    Storage,
    View,
)
from workloads.pytorch.captured_graph import Captured
from workloads.pytorch.graph_values import GraphValues

#: Types of a mixed-precision machine: floating point travels as float16, indices as int32.
_DTYPES: dict[torch.dtype, DType] = {
    torch.float64: "float16",
    torch.float32: "float16",
    torch.float16: "float16",
    torch.bfloat16: "float16",
    torch.int64: "int32",
    torch.int32: "int32",
    torch.int16: "int32",
    torch.int8: "int8",
    torch.uint8: "int8",
    torch.bool: "int8",
}


@dataclass(frozen=True)
class ProductOrigin:
    """Where a product came from, for measuring its operand A in a run.

    Attributes:
        node: reads the operand; `left` is what it reads.
        rows: turns a value of `left` into operand A, (groups x m, k).
        right, columns: the same for operand B, (groups x n, k).
        channel_axis: axis of the channels in a value of `left`.
    """

    node: fx.Node
    left: fx.Node
    rows: Callable[[Tensor], Tensor]
    channel_axis: int
    right: fx.Node
    columns: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AttentionOrigin:
    """An attention node and the names of its two products."""

    node: fx.Node
    scores: str
    values: str


class LoweringContext:
    """What has been lowered so far, and how to add to it."""

    def __init__(self, source: str, captured: Captured) -> None:
        self.source = source
        self.captured = captured
        self.values = GraphValues(captured)
        self.steps: list[ForwardStep] = []
        self.products: dict[str, ProductOrigin] = {}
        self.attentions: list[AttentionOrigin] = []
        self.views: dict[fx.Node, View | tuple[View, ...]] = {}
        self._names: set[str] = set()

    # ---- reading nodes ------------------------------------------------------------------------

    def view(self, node: Any) -> View:
        """The view that a graph node stands for; constants become tensors when first read."""
        if node not in self.views:
            role: Role = "state"
            name = self.captured.buffers.get(node.name, f"constant.{node.name}")
            value = self.fake(node)
            self.views[node] = self._fresh(name, tuple(value.shape), value.dtype, role, node)
        found = self.views[node]
        if isinstance(found, tuple):
            raise InputError(f"{self.where(node)}: a tuple of tensors is used as one tensor")
        return found

    def tensor_inputs(self, node: fx.Node) -> list[View]:
        """Views of all tensor arguments, in order, each once."""
        return [
            self.view(source)
            for source in node.all_input_nodes
            if isinstance(source.meta.get("val"), Tensor) and source.meta["val"].numel()
        ]

    def fake(self, node: fx.Node) -> Tensor:
        """The fake tensor (shape, type) of a node with one output."""
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            raise InputError(f"{self.where(node)}: gives no tensor but {type(value).__name__}")
        return value

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        return self._fixed(tuple(self.fake(node).shape), node)

    def argument(self, node: fx.Node, name: str) -> Any:
        """Argument `name` of an ATen call, with the default of its schema."""
        schema = node.target._schema
        for index, parameter in enumerate(schema.arguments):
            if parameter.name == name:
                if index < len(node.args):
                    return node.args[index]
                return node.kwargs.get(name, parameter.default_value)
        raise KeyError(name)

    # ---- names --------------------------------------------------------------------------------

    def layer(self, node: fx.Node, function: str) -> str:
        """Module path of a node; `function` is added where the module is not that function alone.

        torch marks the second call of a module with `@1`; that mark is dropped.
        """
        stack = node.meta.get("nn_module_stack") or {}
        path, kind = next(reversed(stack.values())) if stack else ("", "")
        path = str(path).partition("@")[0]
        name = f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)
        if path and name.startswith("torch.nn.modules.") and not self.captured.has_children(path):
            return path
        return f"{path}.{function}" if path else function

    def unique(self, layer: str) -> str:
        """Name of a step of `layer`; the second use of a layer is `layer@2`."""
        name, use = layer, 1
        while name in self._names:
            use += 1
            name = f"{layer}@{use}"
        self._names.add(name)
        return name

    def where(self, node: fx.Node) -> str:
        """`source: operator in layer`, for messages."""
        stack = node.meta.get("nn_module_stack") or {}
        path = str(next(reversed(stack.values()))[0]).partition("@")[0] if stack else ""
        return f"{self.source}: {target_name(node)} in layer {path or '(top level)'!r}"

    # ---- writing storages and steps -----------------------------------------------------------

    def output(
        self,
        name: str,
        node: fx.Node,
        inputs: Iterable[View],
        differentiable: bool = True,
        index: int | None = None,
    ) -> Storage:
        """The storage that a step writes for `node` (for its output `index`, if it has many)."""
        inputs = tuple(inputs)
        value = node.meta["val"]
        value = value if index is None else value[index]
        suffix = "out" if not index else f"out{index}"
        return Storage(
            name=f"{name}.{suffix}",
            shape=self._fixed(tuple(value.shape), node),
            dtype=self._dtype(value.dtype, node),
            role="activation",
            needs_gradient=differentiable
            and value.dtype.is_floating_point
            and any(view.needs_gradient for view in inputs),
            below_parameter=any(view.storage.below_parameter for view in inputs),
        )

    def add_pointwise(
        self,
        node: fx.Node,
        function: str,
        inputs: Iterable[View],
        kind: Literal["elementwise", "reduction"] = "elementwise",
        elements: int | None = None,
        backward: Backward = None,
        extra: tuple[tuple[str, tuple[int, ...], DType], ...] = (),
        layer: str | None = None,
    ) -> View:
        """Add a step with one output that computes `node`; `extra` is kept for its backward."""
        inputs = tuple(inputs)
        layer = self.layer(node, function) if layer is None else layer
        name = self.unique(layer)
        multiple = not isinstance(node.meta.get("val"), Tensor)
        out = self.output(name, node, inputs, backward is not None, 0 if multiple else None)
        self.steps.append(
            ForwardPointwise(
                name=name,
                layer=layer,
                kind=kind,
                function=function,
                elements=out.elements if elements is None else elements,
                inputs=inputs,
                outputs=(out,),
                extra=tuple(
                    Storage(f"{name}.{part}", shape, dtype, "activation")
                    for part, shape, dtype in extra
                ),
                backward=backward,
            )
        )
        return View(out, out.shape)

    def add_outputs(
        self,
        node: fx.Node,
        function: str,
        inputs: Iterable[View],
        kind: Literal["elementwise", "reduction"],
        elements: int,
        backward: Backward,
    ) -> tuple[View, ...]:
        """Add a step with several outputs; those that nobody reads are not written."""
        inputs = tuple(inputs)
        layer = self.layer(node, function)
        name = self.unique(layer)
        read = {
            user.args[1]
            for user in node.users
            if user.target is operator.getitem and (user.users or user.args[1] == 0)
        }
        storages = [
            self.output(name, node, inputs, backward is not None, index)
            for index in range(len(node.meta["val"]))
        ]
        self.steps.append(
            ForwardPointwise(
                name=name,
                layer=layer,
                kind=kind,
                function=function,
                elements=elements,
                inputs=inputs,
                outputs=tuple(
                    storage for index, storage in enumerate(storages) if index in read or not index
                ),
                backward=backward,
            )
        )
        return tuple(View(storage, storage.shape) for storage in storages)

    def add_empty(self, node: fx.Node) -> None:
        """Stand-ins for tensors without elements: nothing computes them, nothing reads them."""
        value = node.meta["val"]
        views = tuple(
            View(Storage(f"empty.{node.name}", tuple(part.shape), "float16", "state"), part.shape)
            for part in (value if isinstance(value, tuple | list) else (value,))
        )
        self.views[node] = views[0] if isinstance(value, Tensor) else views

    def add_input(self, node: fx.Node) -> None:
        """A placeholder that the caller of the model fills."""
        if isinstance(node.meta.get("val"), Tensor):
            value = self.fake(node)
            self.views[node] = self._fresh(
                f"input.{node.name}", tuple(value.shape), value.dtype, "activation", node
            )

    def add_parameter(self, node: fx.Node) -> Storage:
        """A placeholder that is a parameter of the model; frozen ones need no gradient."""
        value = self.fake(node)
        name = self.captured.parameters[node.name]
        trainable = self.captured.module.get_parameter(name).requires_grad
        storage = Storage(
            name=name,
            shape=self._fixed(tuple(value.shape), node),
            dtype=self._dtype(value.dtype, node),
            role="weight",
            needs_gradient=trainable and value.dtype.is_floating_point,
            below_parameter=True,
        )
        self.views[node] = View(storage, storage.shape)
        return storage

    def _fresh(
        self, name: str, shape: tuple[int, ...], dtype: torch.dtype, role: Role, node: fx.Node
    ) -> View:
        storage = Storage(name, self._fixed(shape, node), self._dtype(dtype, node), role)
        return View(storage, storage.shape)

    def _fixed(self, shape: tuple[Any, ...], node: fx.Node) -> tuple[int, ...]:
        for extent in shape:
            if not isinstance(extent, int):
                raise InputError(
                    f"{self.where(node)}: shape {[str(part) for part in shape]} depends on data; "
                    "a trace needs fixed shapes"
                )
            if extent < 1:
                raise InputError(f"{self.where(node)}: empty tensor of shape {list(shape)}")
        return shape

    def _dtype(self, dtype: torch.dtype, node: fx.Node) -> DType:
        if dtype not in _DTYPES:
            raise InputError(f"{self.where(node)}: data type {dtype} is not supported")
        return _DTYPES[dtype]


def target_name(node: fx.Node) -> str:
    """How a node's function is called in messages: `aten.cumsum.default`, `getitem`."""
    target: str | Callable[..., Any] = node.target
    if isinstance(target, str):
        return target
    if target is operator.getitem:
        return "getitem"
    return str(target) if isinstance(target, torch._ops.OpOverload) else getattr(
        target, "__name__", str(target)
    )  # fmt: skip


def base_name(node: fx.Node) -> str:
    """ATen name without overload and without the underscore of an in-place variant."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return ""
    name = str(target.overloadpacket.__name__)
    return name.removesuffix("_") if is_in_place(node) else name


def is_in_place(node: fx.Node) -> bool:
    """Whether a node is an ATen call that overwrites its first argument."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.arguments:
        return False
    alias = target._schema.arguments[0].alias_info
    return alias is not None and bool(alias.is_write)
