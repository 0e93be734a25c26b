"""From a captured graph to a `ForwardGraph`: one rule per ATen operator."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor, fx

from sparsesim.errors import InputError
from sparsesim.trace.operators import DType
from workloads.forward_graph import (
    PASS_THROUGH,
    Backward,
    BackwardRule,
    ForwardGraph,
    ForwardPointwise,
    Storage,
    View,
)
from workloads.pytorch.aten_functions import (
    ASSERTIONS,
    FILLS,
    GATHERS,
    PARTIAL_VIEWS,
    POINTWISE,
    WHOLE_VIEWS,
)
from workloads.pytorch.captured_graph import Captured
from workloads.pytorch.contractions import (
    lower_addmm,
    lower_attention,
    lower_convolution,
    lower_convolution3d,
    lower_einsum,
    lower_linear,
    lower_matmul,
    lower_transposed_convolution,
)
from workloads.pytorch.inline_regions import WITHOUT_GRADIENT
from workloads.pytorch.lowering_context import (
    AttentionOrigin,
    LoweringContext,
    ProductOrigin,
    base_name,
    is_in_place,
    target_name,
)
from workloads.pytorch.unfused_attention import UnfusedAttention, unfused_attentions


@dataclass(frozen=True)
class Lowered:
    """A forward graph, and where its products came from in the captured one."""

    graph: ForwardGraph
    products: dict[str, ProductOrigin]
    attentions: tuple[AttentionOrigin, ...]
    unfused: tuple[UnfusedAttention, ...]


def lower(source: str, captured: Captured, allow_unknown: bool) -> Lowered:
    """Lower every node of a captured graph.

    Raises:
        InputError: an operator is not supported (named with its layer; with `allow_unknown` it
            becomes an element-wise step `unknown:<name>`), a shape depends on data, or the model
            has no parameters or no matrix product.
    """
    context = LoweringContext(source, captured)
    parameters: dict[str, Storage] = {}
    outputs: list[View] = []
    for node in captured.graph.nodes:
        evaluable = context.values.mark(node) if node.op != "output" else False
        if node.op == "placeholder":
            if node.name in captured.parameters:
                storage = context.add_parameter(node)
                parameters[storage.name] = storage
            elif not evaluable:
                context.add_input(node)
        elif node.op == "call_function":
            _lower_call(context, node, allow_unknown)
        elif node.op == "output":
            outputs = [
                context.view(found)
                for found in node.all_input_nodes
                if isinstance(found.meta.get("val"), Tensor)
            ]
        else:
            raise InputError(
                f"{source}: the exported graph holds a {node.op} node ({node.name}), such as the "
                "branches of torch.cond; this is not supported"
            )
    name = type(captured.module).__name__
    if not parameters:
        raise InputError(f"{source}: {name} has no parameters that its forward pass uses")
    graph = ForwardGraph(tuple(parameters.values()), tuple(context.steps), tuple(outputs))
    if not graph.weights:
        raise InputError(
            f"{source}: {name} has no matrix product with weights (linear, convolution, matmul)"
        )
    unfused = unfused_attentions(captured.graph, context.products)
    return Lowered(graph, context.products, tuple(context.attentions), unfused)


def _lower_call(context: LoweringContext, node: fx.Node, allow_unknown: bool) -> None:
    name = base_name(node)
    if name in ASSERTIONS:
        return
    if context.values.is_constant(node):
        return  # read where it is used, computed ahead of time
    if node.target is operator.getitem:
        _lower_getitem(context, node)
        return
    if context.captured.recorded and _is_empty(node):
        context.add_empty(node)
        return
    sources = node.all_input_nodes
    if name in FILLS:
        context.views[node] = context.add_pointwise(node, "fill", ())
    elif name in WHOLE_VIEWS:
        view = replace(context.view(sources[0]), shape=context.shape(node))
        context.views[node] = replace(view, detached=True) if name == "detach" else view
    elif name in PARTIAL_VIEWS:
        _lower_partial_view(context, node, name)
    elif name in _WRAPPERS and (wrapped := _wrapped(context, node)) is not None:
        context.views[node] = wrapped
    else:
        rule = _RULES.get(name) or (_lower_pointwise if name in POINTWISE else None)
        if rule is not None:
            context.views[node] = rule(context, node)
        elif allow_unknown:
            _lower_unknown(context, node)
        else:
            raise InputError(
                f"{context.where(node)}: this operator is not supported (--allow-unknown counts "
                "it as one element-wise step)"
            )
    found = context.views.get(node)
    if isinstance(found, View) and node.meta.get(WITHOUT_GRADIENT):
        context.views[node] = replace(found, detached=True)
    if is_in_place(node):
        _check_overwritten(context, node)


def _wrapped(context: LoweringContext, node: fx.Node) -> View | None:
    """The parameter behind `parameter * mask` or `where(mask, parameter, 0)`: one weight still."""
    if node not in context.values:
        return None
    factors = [source for source in node.all_input_nodes if not context.values.is_constant(source)]
    if len(factors) != 1:
        return None
    view = context.view(factors[0])
    return view if view.storage.role == "weight" and view.shape == context.shape(node) else None


def _check_overwritten(context: LoweringContext, node: fx.Node) -> None:
    """Refuse an in-place operator whose overwritten data is read again through another view."""
    target = node.all_input_nodes[0]
    overwritten = context.views.get(target)
    if not isinstance(overwritten, View):
        return
    order = {other: index for index, other in enumerate(context.captured.graph.nodes)}
    for other, view in context.views.items():
        views = view if isinstance(view, tuple) else (view,)
        if other is node or all(part.storage != overwritten.storage for part in views):
            continue
        if any(order[user] > order[node] for user in other.users):
            raise InputError(
                f"{context.where(node)}: overwrites data that is read again through another "
                "view; use the out-of-place operator"
            )


# ---- views ------------------------------------------------------------------------------------


def _lower_partial_view(context: LoweringContext, node: fx.Node, name: str) -> None:
    source = context.view(node.all_input_nodes[0])
    value = node.meta["val"]
    label = ",".join([name, *(str(arg) for arg in node.args[1:])]).replace(" ", "")
    if isinstance(value, Tensor):
        context.views[node] = _part(source, context.shape(node), label)
        return
    context.views[node] = tuple(
        _part(source, tuple(part.shape), f"{label}#{index}") for index, part in enumerate(value)
    )


def _part(source: View, shape: tuple[int, ...], label: str) -> View:
    if math.prod(shape) == source.elements:  # x[:] selects everything
        return replace(source, shape=shape)
    return replace(source, shape=shape, selection=(*source.selection, label))


def _lower_getitem(context: LoweringContext, node: fx.Node) -> None:
    source, index = node.args
    assert isinstance(source, fx.Node)
    found = context.views[source]
    if isinstance(found, View):  # only output 0 of an operator with several is lowered
        if index != 0 and not node.users:
            return
        if index != 0:
            raise InputError(
                f"{context.where(source)}: its output {index} is used; only output 0 is supported"
            )
        context.views[node] = found
    else:
        assert isinstance(index, int)
        context.views[node] = found[index]


def _is_empty(node: fx.Node) -> bool:
    """Whether all outputs of a recorded node have no elements (an expert without tokens)."""
    value = node.meta.get("val")
    parts = value if isinstance(value, tuple | list) else (value,)
    return bool(parts) and all(isinstance(part, Tensor) and part.numel() == 0 for part in parts)


def _lower_where(context: LoweringContext, node: fx.Node) -> View | tuple[View, ...]:
    """A choice between two tensors; or, of a condition alone, the positions where it holds."""
    if isinstance(node.meta["val"], Tensor):
        return _lower_pointwise(context, node)
    source = context.view(node.all_input_nodes[0])
    return context.add_outputs(node, "nonzero", (source,), "reduction", source.elements, None)


def _lower_embedding_bag(context: LoweringContext, node: fx.Node) -> View:
    """Rows gathered from the table, and folded per bag."""
    table, index = (context.view(context.argument(node, name)) for name in ("weight", "indices"))
    width = table.shape[-1]
    rows = replace(
        table, shape=(index.elements, width), selection=(*table.selection, f"rows:{node.name}")
    )
    rule = BackwardRule(
        "elementwise", "embedding_bag_backward", rows.elements, frozenset({"inputs"})
    )
    return context.add_pointwise(
        node, "embedding_bag", (rows, index), "reduction", rows.elements, rule
    )


def _lower_gather(context: LoweringContext, node: fx.Node) -> View:
    """A copy of selected rows: what is read of the table is as large as what is written."""
    table, *indices = context.tensor_inputs(node)
    if base_name(node) == "embedding":
        table, *indices = (context.view(node.args[0]), context.view(node.args[1]))
    rows = replace(
        table, shape=context.shape(node), selection=(*table.selection, f"rows:{node.name}")
    )
    return context.add_pointwise(node, base_name(node), (rows, *indices), backward=PASS_THROUGH)


# ---- element-wise steps and reductions --------------------------------------------------------


def _lower_pointwise(context: LoweringContext, node: fx.Node) -> View | tuple[View, ...]:
    name = base_name(node)
    function = POINTWISE[name]
    inputs = context.tensor_inputs(node)
    value = node.meta["val"]
    out = value if isinstance(value, Tensor) else value[0]
    elements = inputs[0].elements if function.kind == "reduction" else out.numel()
    if name.startswith("avg_pool"):
        elements = out.numel() * _window(context, node, "kernel_size")
    backward: Backward = None
    if function.backward == "pass":
        backward = PASS_THROUGH
    elif function.backward != "none":
        size = max([elements, *(view.elements for view in inputs)])
        backward = BackwardRule(
            function.backward_kind, f"{name}_backward", size, frozenset(function.backward)
        )
    if isinstance(value, Tensor):
        return context.add_pointwise(
            node, name.strip("_"), inputs, function.kind, elements, backward
        )
    return context.add_outputs(node, name.strip("_"), inputs, function.kind, elements, backward)


def _lower_cat(context: LoweringContext, node: fx.Node) -> View:
    # An operand that is concatenated with itself comes twice: arguments, not distinct inputs.
    operands = node.args[0]
    assert isinstance(operands, list | tuple)
    inputs = [context.view(operand) for operand in operands]
    return context.add_pointwise(node, "cat", inputs, backward=PASS_THROUGH)


def _lower_batch_norm(context: LoweringContext, node: fx.Node) -> View:
    """Kept as one step; with batch statistics it saves mean and inverse deviation per channel."""
    inputs = context.tensor_inputs(node)
    training = bool(context.argument(node, "training"))
    channels = inputs[0].shape[1]
    rule = BackwardRule(
        "elementwise",
        "batch_norm_backward",
        inputs[0].elements,
        frozenset({"inputs", "extra"} if training else {"inputs"}),
    )
    extra: tuple[tuple[str, tuple[int, ...], DType], ...] = ()
    if training:
        # The running statistics are state beside the data path: batch statistics are used.
        inputs = [view for view in inputs if view.storage.role != "state"]
        extra = (("statistics", (2, channels), "float32"),)
    return context.add_pointwise(node, "batch_norm", inputs, backward=rule, extra=extra)


def _lower_normalization(context: LoweringContext, node: fx.Node) -> View:
    inputs = context.tensor_inputs(node)
    name = base_name(node)
    rule = BackwardRule(
        "elementwise", f"{name}_backward", inputs[0].elements, frozenset({"inputs"})
    )
    return context.add_pointwise(node, name, inputs, backward=rule)


def _lower_max_pool(context: LoweringContext, node: fx.Node) -> View:
    """Folds every window, overlaps counted; training keeps the position of each maximum."""
    name = base_name(node).removesuffix("_with_indices")
    source = context.view(node.all_input_nodes[0])
    value = node.meta["val"]
    out = value if isinstance(value, Tensor) else value[0]
    if name.startswith("adaptive"):
        window = math.ceil(source.elements / out.numel())
    else:
        window = _window(context, node, "kernel_size")
    position: DType = "int8" if window <= 128 else "int32"
    rule = BackwardRule("elementwise", f"{name}_backward", source.elements, frozenset({"extra"}))
    return context.add_pointwise(
        node,
        name,
        (source,),
        "reduction",
        out.numel() * window,
        rule,
        extra=(("argmax", tuple(out.shape), position),),
    )


def _window(context: LoweringContext, node: fx.Node, argument: str) -> int:
    sizes = context.argument(node, argument)
    rank = 2 if "2d" in base_name(node) else 1
    numbers = [sizes] if isinstance(sizes, int) else list(sizes)
    return math.prod(numbers * rank if len(numbers) < rank else numbers)


def _lower_dropout(context: LoweringContext, node: fx.Node) -> View:
    """The identity in evaluation or with p = 0; otherwise a mask is drawn and kept."""
    source = context.view(node.all_input_nodes[0])
    if not context.argument(node, "train") or float(context.argument(node, "p")) == 0.0:
        return source
    rule = BackwardRule("elementwise", "dropout_backward", source.elements, frozenset({"extra"}))
    extra: tuple[tuple[str, tuple[int, ...], DType], ...] = (("mask", source.shape, "int8"),)
    return context.add_pointwise(node, "dropout", (source,), backward=rule, extra=extra)


def _lower_unknown(context: LoweringContext, node: fx.Node) -> None:
    """One element-wise step with the true shapes, differentiable through all its inputs."""
    function = f"unknown:{target_name(node)}"
    inputs = tuple(context.tensor_inputs(node))
    value = node.meta.get("val")
    values = value if isinstance(value, tuple | list) else (value,)
    if not values or not all(isinstance(part, Tensor) for part in values):
        raise InputError(f"{context.where(node)}: its outputs are not tensors")
    layer = context.layer(node, target_name(node).split(".")[1] if "." in function else "unknown")
    name = context.unique(layer)
    outputs = tuple(
        context.output(name, node, inputs, index=None if isinstance(value, Tensor) else index)
        for index in range(len(values))
    )
    elements = max([part.elements for part in outputs] + [view.elements for view in inputs])
    rule = BackwardRule(
        "elementwise", f"{function}_backward", elements, frozenset({"inputs", "outputs"})
    )
    context.steps.append(
        ForwardPointwise(
            name=name,
            layer=layer,
            kind="elementwise",
            function=function,
            elements=elements,
            inputs=inputs,
            outputs=outputs,
            backward=rule,
        )
    )
    views = tuple(View(storage, storage.shape) for storage in outputs)
    context.views[node] = views[0] if isinstance(value, Tensor) else views


#: Ways to apply a constant mask (or scale) to a parameter.
_WRAPPERS = frozenset(["mul", "div", "where", "masked_fill"])

_RULES: dict[str, Callable[[LoweringContext, fx.Node], View | tuple[View, ...]]] = {
    "linear": lower_linear,
    "matmul": lower_matmul,
    "mm": lower_matmul,
    "bmm": lower_matmul,
    "mv": lower_matmul,
    "dot": lower_matmul,
    "addmm": lower_addmm,
    "baddbmm": lower_addmm,
    "einsum": lower_einsum,
    "conv1d": lower_convolution,
    "conv2d": lower_convolution,
    "conv3d": lower_convolution3d,
    "conv_transpose1d": lower_transposed_convolution,
    "conv_transpose2d": lower_transposed_convolution,
    "conv_transpose3d": lower_transposed_convolution,
    "embedding_bag": _lower_embedding_bag,
    "where": _lower_where,
    "scaled_dot_product_attention": lower_attention,
    "batch_norm": _lower_batch_norm,
    "layer_norm": _lower_normalization,
    "group_norm": _lower_normalization,
    "instance_norm": _lower_normalization,
    "rms_norm": _lower_normalization,
    "max_pool1d": _lower_max_pool,
    "max_pool2d": _lower_max_pool,
    "max_pool2d_with_indices": _lower_max_pool,
    "adaptive_max_pool1d": _lower_max_pool,
    "adaptive_max_pool2d": _lower_max_pool,
    "dropout": _lower_dropout,
    "feature_dropout": _lower_dropout,
    "cat": _lower_cat,
    "stack": _lower_cat,
    **dict.fromkeys(GATHERS, _lower_gather),
}
