"""Graph nodes that are matrix products: linear, convolution, matmul, einsum, attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, fx

from sparsesim.errors import InputError
from sparsesim.trace import Convolution
from workloads.forward_graph import (
    BackwardRule,
    ForwardGemm,
    ForwardPointwise,
    Storage,
    View,
    Weight,
    WeightArray,
    layer_of_parameter,
)
from workloads.pytorch.decompose import is_one_product
from workloads.pytorch.im2col import im2col
from workloads.pytorch.lowering_context import AttentionOrigin, LoweringContext, ProductOrigin

Shape = tuple[int, ...]


def lower_linear(context: LoweringContext, node: fx.Node) -> View:
    """`F.linear`: x (..., K) and weight (N, K) to (..., N)."""
    x, weight, bias = (context.argument(node, name) for name in ("input", "weight", "bias"))
    shape = context.shape(weight)
    if len(shape) != 2:
        raise InputError(f"{context.where(node)}: weight of shape {list(shape)}; needs 2 axes")
    n, k = shape
    m = context.view(x).elements // k
    return _product(
        context, node, x, weight, (m, n, k), bias=bias,
        canonical=lambda value: value.reshape(1, n, 1, k),
        rows=lambda value: value.reshape(m, k),
    )  # fmt: skip


def lower_matmul(context: LoweringContext, node: fx.Node) -> View:
    """`mm`, `bmm`, `matmul`, `mv`, `dot`: batches are groups; a 2-D right side shares its rows."""
    left, right = node.args[0], node.args[1]
    assert isinstance(left, fx.Node)
    assert isinstance(right, fx.Node)
    return _matmul(context, node, left, right, None)


def lower_addmm(context: LoweringContext, node: fx.Node) -> View:
    """`addmm`, `baddbmm`: a bias and a product."""
    bias, left, right = node.args[:3]
    assert isinstance(left, fx.Node)
    assert isinstance(right, fx.Node)
    return _matmul(context, node, left, right, bias)


def _matmul(
    context: LoweringContext, node: fx.Node, left: fx.Node, right: fx.Node, bias: Any
) -> View:
    a, b = context.shape(left), context.shape(right)
    rows = (1, *a) if len(a) == 1 else a
    columns = (*b, 1) if len(b) == 1 else b
    m, k, n = rows[-2], rows[-1], columns[-1]
    if left in context.values and right not in context.values and len(rows) == 2:
        # Weight on the left: the transposed product has it on the right, as the array wants.
        samples = math.prod(columns[:-2]) * n
        return _product(
            context, node, right, left, (samples, m, k), bias=bias,
            canonical=lambda value: value.reshape(1, m, 1, k),
            rows=lambda value: value.reshape(-1, k, n).transpose(1, 2).reshape(samples, k),
        )  # fmt: skip
    if len(columns) == 2:
        return _product(
            context, node, left, right, (math.prod(rows[:-1]), n, k), bias=bias,
            canonical=lambda value: value.reshape(k, n).T.reshape(1, n, 1, k),
            rows=lambda value: value.reshape(-1, k),
        )  # fmt: skip
    batches = np.broadcast_shapes(rows[:-2], columns[:-2])
    groups = math.prod(batches)
    return _product(
        context, node, left, right, (m, n, k), groups=groups, bias=bias,
        canonical=lambda value: value.reshape(columns)
        .expand(*batches, k, n)
        .reshape(groups, k, n)
        .transpose(1, 2)
        .unsqueeze(2),
        rows=lambda value: value.reshape(rows).expand(*batches, m, k).reshape(groups * m, k),
    )  # fmt: skip


def lower_einsum(context: LoweringContext, node: fx.Node) -> View:
    """`einsum` of two operands in which every index is batch, row, column or summed over.

    Raises:
        InputError: more operands, repeated indices, or an index summed within one operand.
    """
    equation, operands = node.args[0], node.args[1]
    text = str(equation).replace(" ", "")
    assert isinstance(operands, list | tuple)
    terms, _, out = text.partition("->")
    sides = terms.split(",")
    if not is_one_product(node):
        raise InputError(
            f"{context.where(node)}: equation {text!r} is not one matrix product of two operands"
        )
    left, right = operands
    assert isinstance(left, fx.Node)
    assert isinstance(right, fx.Node)
    if left in context.values and right not in context.values:
        left, right = right, left
        sides.reverse()
    extent = dict(zip(sides[0], context.shape(left), strict=True))
    extent |= zip(sides[1], context.shape(right), strict=True)
    batch = [letter for letter in sides[1] if letter in sides[0] and letter in out]
    summed = [letter for letter in sides[1] if letter in sides[0] and letter not in out]
    columns = [letter for letter in sides[1] if letter not in sides[0]]
    rows = [letter for letter in sides[0] if letter not in sides[1]]
    groups, m, n, k = (
        math.prod(extent[letter] for letter in part) for part in (batch, rows, columns, summed)
    )
    order = [sides[1].index(letter) for letter in (*batch, *columns, *summed)]
    left_order = [sides[0].index(letter) for letter in (*batch, *rows, *summed)]
    return _product(
        context, node, left, right, (m, n, k), groups=groups,
        canonical=lambda value: value.permute(order).reshape(groups, n, 1, k),
        rows=lambda value: value.permute(left_order).reshape(groups * m, k),
    )  # fmt: skip


def lower_convolution(context: LoweringContext, node: fx.Node) -> View:
    """`conv1d`, `conv2d` as implicit GEMM: m = B x OH x OW, n = Cout/g, k = taps x Cin/g."""
    x, weight, bias = (context.argument(node, name) for name in ("input", "weight", "bias"))
    image, filters, out = context.shape(x), context.shape(weight), context.shape(node)
    spatial = len(filters) - 2
    if len(image) == spatial + 1:  # no batch axis
        image, out = (1, *image), (1, *out)
    kernel = _pair(filters[2:], spatial, 1)
    dilation = _pair(context.argument(node, "dilation"), spatial, 1)
    padding = context.argument(node, "padding")
    if padding == "same":
        padding = tuple(
            math.ceil(step * (size - 1) / 2)
            for step, size in zip(dilation[-spatial:], kernel[-spatial:], strict=True)
        )
    groups = int(context.argument(node, "groups"))
    height, width = _pair(image[2:], spatial, 1)
    out_height, out_width = _pair(out[2:], spatial, 1)
    conv = Convolution(
        batch=image[0],
        height=height,
        width=width,
        channels=filters[1],
        out_height=out_height,
        out_width=out_width,
        kernel=kernel,
        stride=_pair(context.argument(node, "stride"), spatial, 1),
        padding=_pair((0,) if padding == "valid" else padding, spatial, 0),
        dilation=dilation,
    )
    outputs = filters[0] // groups
    return _product(
        context, node, x, weight, (conv.pixels, outputs, conv.columns), groups=groups, bias=bias,
        conv=conv,
        canonical=lambda value: value.reshape(
            groups, outputs, conv.channels, conv.taps
        ).transpose(2, 3),
        rows=lambda value: im2col(value, conv, groups), channel_axis=-1 - spatial,
    )  # fmt: skip


def lower_convolution3d(context: LoweringContext, node: fx.Node) -> View:
    """`conv3d`: an im2col step that writes the matrix, and a plain product with it."""
    x, weight, bias = (context.argument(node, name) for name in ("input", "weight", "bias"))
    filters, out = context.shape(weight), context.shape(node)
    groups, taps = int(context.argument(node, "groups")), math.prod(filters[2:])
    pixels = math.prod(out) // filters[0]
    outputs, k = filters[0] // groups, filters[1] * taps
    source = context.view(x)
    layer = context.layer(node, "conv")
    matrix = _inner_step(
        context, f"{layer}.im2col", "im2col", (source,),
        BackwardRule("reduction", "col2im", groups * pixels * k, frozenset()),
        shape=(groups, pixels, k),
    )  # fmt: skip
    return _product(
        context, node, x, weight, (pixels, outputs, k), groups=groups, bias=bias, a=matrix,
        canonical=lambda value: value.reshape(groups, outputs, filters[1], taps)
        .transpose(2, 3)
        .reshape(groups, outputs, 1, k),
    )  # fmt: skip


def lower_transposed_convolution(context: LoweringContext, node: fx.Node) -> View:
    """`conv_transpose1d/2d/3d`: a product per input pixel, then col2im adds what overlaps.

    m = B x H x W of the input, n = taps x Cout/g, k = Cin/g; exactly the MACs that torch counts.
    """
    x, weight, bias = (context.argument(node, name) for name in ("input", "weight", "bias"))
    filters, image = context.shape(weight), context.shape(x)
    groups, taps = int(context.argument(node, "groups")), math.prod(filters[2:])
    inputs, outputs = filters[0] // groups, filters[1]
    pixels = math.prod(image) // filters[0]
    n = outputs * taps
    product = _product(
        context, node, x, weight, (pixels, n, inputs), groups=groups,
        canonical=lambda value: value.reshape(groups, inputs, n).transpose(1, 2).unsqueeze(2),
        rows=lambda value: value.reshape(-1, groups, inputs, math.prod(image[-len(filters) + 2 :]))
        .permute(1, 0, 3, 2)
        .reshape(groups * pixels, inputs),
        out=(groups, pixels, n), channel_axis=1 - len(filters),
    )  # fmt: skip
    sources = (product,) if bias is None else (product, context.view(bias))
    return _inner_step(
        context, f"{product.storage.name.removesuffix('.out')}.col2im", "col2im", sources,
        BackwardRule("elementwise", "im2col", product.elements, frozenset()),
        shape=context.shape(node),
    )  # fmt: skip


def lower_attention(context: LoweringContext, node: fx.Node) -> View:
    """`scaled_dot_product_attention`: scores, softmax (with scale and mask), weighted values.

    A causal mask does not shrink the products: the full ones are counted.
    """
    query, key, value = (context.argument(node, name) for name in ("query", "key", "value"))
    q, k, v = (context.view(operand) for operand in (query, key, value))
    groups = math.prod(q.shape[:-2])
    length, inner, keys, outer = q.shape[-2], q.shape[-1], k.shape[-2], v.shape[-1]
    base = context.layer(node, "attention")
    shape = (*q.shape[:-2], length, keys)

    def product(part: str, a: View, b: View, sizes: tuple[int, int, int], out: Shape) -> View:
        name = context.unique(f"{base}.{part}")
        step = ForwardGemm(
            name=name, layer=f"{base}.{part}", m=sizes[0], n=sizes[1], k=sizes[2], groups=groups,
            a=a, b=b, output=_joined(f"{name}.out", out, (a, b)),
        )  # fmt: skip
        context.steps.append(step)
        names.append(name)
        return View(step.output, out)

    names: list[str] = []
    scores = product("scores", q, k, (length, keys, inner), shape)
    mask = context.argument(node, "attn_mask")
    inputs = (scores,) if mask is None else (scores, context.view(mask))
    elements = scores.elements
    softmax = BackwardRule("reduction", "softmax_backward", elements, frozenset({"outputs"}))
    probabilities = _inner_step(context, f"{base}.softmax", "softmax", inputs, softmax)
    if float(context.argument(node, "dropout_p") or 0.0) > 0.0:
        dropout = BackwardRule("elementwise", "dropout_backward", elements, frozenset({"extra"}))
        probabilities = _inner_step(
            context, f"{base}.dropout", "dropout", (probabilities,), dropout
        )
    result = product("values", probabilities, v, (length, outer, keys), context.shape(node))
    context.attentions.append(AttentionOrigin(node, names[0], names[1]))
    return result


def _inner_step(
    context: LoweringContext,
    layer: str,
    function: str,
    inputs: tuple[View, ...],
    backward: BackwardRule,
    shape: Shape | None = None,
) -> View:
    name = context.unique(layer)
    first = inputs[0]
    out = _joined(f"{name}.out", first.shape if shape is None else shape, inputs)
    dropped = Storage(f"{name}.mask", first.shape, "int8", "activation")
    context.steps.append(
        ForwardPointwise(
            name=name,
            layer=layer,
            kind="reduction" if function in ("softmax", "col2im") else "elementwise",
            function=function,
            elements=max(first.elements, out.elements) if function == "im2col" else first.elements,
            inputs=inputs,
            outputs=(out,),
            extra=(dropped,) if function == "dropout" else (),
            backward=backward,
        )
    )
    return View(out, out.shape)


def _joined(name: str, shape: Shape, inputs: tuple[View, ...]) -> Storage:
    return Storage(
        name,
        shape,
        "float16",
        "activation",
        needs_gradient=any(view.needs_gradient for view in inputs),
        below_parameter=any(view.storage.below_parameter for view in inputs),
    )


def _product(
    context: LoweringContext,
    node: fx.Node,
    left: fx.Node,
    right: fx.Node,
    sizes: tuple[int, int, int],
    canonical: Callable[[Tensor], Tensor],
    groups: int = 1,
    bias: Any = None,
    conv: Convolution | None = None,
    a: View | None = None,
    out: Shape | None = None,
    rows: Callable[[Tensor], Tensor] | None = None,
    channel_axis: int = -1,
) -> View:
    """Add the GEMM of `sizes` (m, n, k) per group; `right` is a weight if parameters alone make it.

    `canonical` turns the right side's value into (groups, outputs, taps, inputs). `a` stands for
    what was made of `left`, `rows` turns a value of `left` into (groups x m, k), `channel_axis` is
    that of its channels, and `out` is the shape of the product where it is not that of `node`.
    """
    m, n, k = sizes
    a, b = context.view(left) if a is None else a, context.view(right)
    taps = conv.taps if conv is not None else 1
    is_weight = right in context.values and not context.values.is_constant(right)
    # A constant that meets a weight is an activation: the initial state of a recurrent layer.
    is_weight = is_weight and (left not in context.values or context.values.is_constant(left))
    is_weight = is_weight and b.elements == groups * n * k
    if is_weight and b.storage.role == "weight":
        layer = layer_of_parameter(b.tensor)
    else:
        layer = context.layer(node, "conv" if conv is not None else "matmul")
    name = context.unique(layer)
    bias_view = context.view(bias) if isinstance(bias, fx.Node) else None
    inputs = (a, b) if bias_view is None else (a, b, bias_view)
    weight = None
    if is_weight:

        def values() -> WeightArray:
            value = canonical(context.values.evaluate(right)).float().contiguous()
            return np.asarray(value.numpy())

        weight = Weight(
            parameter=b.tensor,
            layer=layer,
            groups=groups,
            outputs=n,
            taps=taps,
            inputs=k // taps,
            first=not a.storage.below_parameter,
            values=values,
        )
    step = ForwardGemm(
        name=name,
        layer=layer,
        m=m,
        n=n,
        k=k,
        groups=groups,
        a=a,
        b=b,
        output=context.output(name, node, inputs)
        if out is None
        else _joined(f"{name}.out", out, inputs),
        weight=weight,
        conv=conv,
        bias=bias_view,
    )
    context.steps.append(step)
    if rows is not None:
        context.products[name] = ProductOrigin(
            node, left, rows, channel_axis, right, lambda value: canonical(value).reshape(-1, k)
        )
    return View(step.output, step.output.shape)


def _pair(values: Any, spatial: int, fill: int) -> tuple[int, int]:
    """Two spatial values; one-dimensional convolutions are images of height one."""
    numbers = [int(value) for value in values] if not isinstance(values, int) else [values]
    if len(numbers) < spatial:
        numbers = numbers * spatial
    return (fill, numbers[0]) if spatial == 1 else (numbers[0], numbers[1])
