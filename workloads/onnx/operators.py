"""What each supported ONNX operator is in torch; names and defaults are those of the standard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from workloads.onnx.attributes import Attributes
from workloads.onnx.recurrent import gru, lstm, rnn

Function = Callable[..., Any]


def _numbers(value: Any) -> list[int]:
    """Integers of an attribute, or of an input that `NUMBERS` makes a list."""
    return [int(number) for number in value] if isinstance(value, list | tuple) else [int(value)]


def _axes(attributes: Attributes, given: Any) -> list[int] | None:
    """Axes as an input (newer operator sets) or as an attribute."""
    if given is not None:
        return _numbers(given)
    axes = attributes.get("axes")
    return None if axes is None else list(axes)


# ---- products ---------------------------------------------------------------------------------


def _padding(attributes: Attributes, x: Tensor, weight: Tensor) -> tuple[Tensor, list[int]]:
    """The input, padded where the two sides differ, and the padding that is left for the call."""
    spatial = weight.ndim - 2
    automatic = attributes.get("auto_pad", "NOTSET")
    kernel = list(weight.shape[2:])
    strides = attributes.get("strides", [1] * spatial)
    dilations = attributes.get("dilations", [1] * spatial)
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        begin, end = [], []
        for axis in range(spatial):
            size = x.shape[2 + axis]
            reach = dilations[axis] * (kernel[axis] - 1) + 1
            total = max(0, (-(-size // strides[axis]) - 1) * strides[axis] + reach - size)
            small, large = total // 2, total - total // 2
            begin.append(small if automatic == "SAME_UPPER" else large)
            end.append(large if automatic == "SAME_UPPER" else small)
    else:
        pads = list(attributes.get("pads", [0] * (2 * spatial)))
        begin, end = pads[:spatial], pads[spatial:]
    if begin == end:
        return x, begin
    flat = [amount for pair in reversed(list(zip(begin, end, strict=True))) for amount in pair]
    return functional.pad(x, flat), [0] * spatial


def _conv(attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    spatial = weight.ndim - 2
    calls = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
    x, padding = _padding(attributes, x, weight)
    return calls[spatial](
        x, weight, bias,
        stride=attributes.get("strides", [1] * spatial), padding=padding,
        dilation=attributes.get("dilations", [1] * spatial), groups=attributes.get("group", 1),
    )  # fmt: skip


def _conv_transpose(
    attributes: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    spatial = weight.ndim - 2
    pads = list(attributes.get("pads", [0] * (2 * spatial)))
    unusual = attributes.get("output_shape") or attributes.get("auto_pad", "NOTSET") != "NOTSET"
    if unusual or pads[:spatial] != pads[spatial:]:
        raise attributes.refuse("output_shape, auto_pad or uneven padding")
    calls = {
        1: functional.conv_transpose1d,
        2: functional.conv_transpose2d,
        3: functional.conv_transpose3d,
    }
    return calls[spatial](
        x, weight, bias,
        stride=attributes.get("strides", [1] * spatial), padding=pads[:spatial],
        output_padding=attributes.get("output_padding", [0] * spatial),
        groups=attributes.get("group", 1), dilation=attributes.get("dilations", [1] * spatial),
    )  # fmt: skip


def _gemm(attributes: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.t() if attributes.get("transA", 0) else a
    plain = attributes.get("alpha", 1.0) == 1.0 and attributes.get("beta", 1.0) == 1.0
    if plain and attributes.get("transB", 0):
        return functional.linear(a, b, c) if c is None or c.ndim == 1 else a @ b.t() + c
    product = a @ (b.t() if attributes.get("transB", 0) else b) * attributes.get("alpha", 1.0)
    return product if c is None else product + c * attributes.get("beta", 1.0)


# ---- shapes -----------------------------------------------------------------------------------


def _reshape(attributes: Attributes, x: Tensor, shape: Any) -> Tensor:
    extents = _numbers(shape)
    if not attributes.get("allowzero", 0):
        extents = [x.shape[i] if extent == 0 else extent for i, extent in enumerate(extents)]
    return x.reshape(extents)


def _flatten(attributes: Attributes, x: Tensor) -> Tensor:
    axis = attributes.get("axis", 1) % (x.ndim + 1)
    rows = 1
    for extent in x.shape[:axis]:
        rows *= extent
    return x.reshape(rows, -1)


def _squeeze(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    wanted = _axes(attributes, axes)
    return x.squeeze() if wanted is None else x.squeeze(tuple(wanted))


def _unsqueeze(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    wanted = _axes(attributes, axes) or []
    rank = x.ndim + len(wanted)
    for axis in sorted(axis % rank for axis in wanted):
        x = x.unsqueeze(axis)
    return x


def _slice(
    attributes: Attributes, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None,
    steps: Any = None,
) -> Tensor:  # fmt: skip
    first = _numbers(starts if starts is not None else attributes.get("starts"))
    last = _numbers(ends if ends is not None else attributes.get("ends"))
    along = _axes(attributes, axes) or list(range(len(first)))
    step = _numbers(steps) if steps is not None else [1] * len(first)
    for begin, end, axis, stride in zip(first, last, along, step, strict=True):
        if stride < 1:
            raise attributes.refuse("a slice with a negative step")
        index = [slice(None)] * x.ndim
        index[axis] = slice(begin, min(end, x.shape[axis]), stride)
        x = x[tuple(index)]
    return x


def _split(attributes: Attributes, x: Tensor, sizes: Any = None) -> Sequence[Tensor]:
    axis = attributes.get("axis", 0)
    given = sizes if sizes is not None else attributes.get("split")
    if given is not None:
        return x.split(_numbers(given), dim=axis)
    return x.tensor_split(attributes.get("num_outputs", attributes.outputs), dim=axis)


def _expand(_attributes: Attributes, x: Tensor, shape: Any) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(_numbers(shape))))


def _gather(attributes: Attributes, x: Tensor, index: Tensor | int) -> Tensor:
    axis = attributes.get("axis", 0)
    if not isinstance(index, Tensor):
        return x.select(axis, index)
    if axis == 0 and x.ndim == 2 and index.ndim and x.is_floating_point():
        return functional.embedding(index, x)
    chosen = x.index_select(axis, index.reshape(-1))
    return chosen.reshape(*x.shape[: axis % x.ndim], *index.shape, *x.shape[axis % x.ndim + 1 :])


def _pad(
    attributes: Attributes, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None
) -> Tensor:
    amounts = _numbers(pads if pads is not None else attributes.get("pads"))
    if axes is not None:
        raise attributes.refuse("padding of named axes")
    half = len(amounts) // 2
    pairs = list(zip(amounts[:half], amounts[half:], strict=True))
    flat = [amount for pair in reversed(pairs) for amount in pair]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    kind = mode[attributes.get("mode", "constant")]
    fill = float(value) if value is not None else attributes.get("value", 0.0)
    if kind != "constant":
        while len(flat) > 2 and flat[-2:] == [0, 0]:
            flat = flat[:-2]
        return functional.pad(x, flat, mode=kind)
    return functional.pad(x, flat, value=fill)


def _constant(attributes: Attributes) -> Any:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        value = attributes.get(name)
        if value is not None:
            return value if isinstance(value, Tensor) else torch.tensor(value)
    raise attributes.refuse("a constant without a number")


def _constant_of_shape(attributes: Attributes, shape: Any) -> Tensor:
    value = attributes.get("value")
    fill = value.reshape(()) if isinstance(value, Tensor) else torch.tensor(0.0, device="cpu")
    return torch.full(_numbers(shape), fill.item(), dtype=fill.dtype)


# ---- element-wise and reductions --------------------------------------------------------------

_TYPES = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32,
    7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
}  # fmt: skip


def _cast(attributes: Attributes, x: Tensor) -> Tensor:
    kind = attributes.get("to")
    if kind not in _TYPES:
        raise attributes.refuse(f"data type {kind}")
    return x.to(_TYPES[kind])


def _clip(attributes: Attributes, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    least = low if low is not None else attributes.get("min")
    most = high if high is not None else attributes.get("max")
    least = None if least is None else float(least)
    most = None if most is None else float(most)
    return functional.relu6(x) if (least, most) == (0.0, 6.0) else x.clamp(least, most)


def _batch_norm(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    return functional.batch_norm(
        x, mean.detach(), variance.detach(), scale, bias, False,
        eps=attributes.get("epsilon", 1e-5),
    )  # fmt: skip


def _layer_norm(
    attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor | None = None
) -> Tensor:
    axis = attributes.get("axis", -1) % x.ndim
    return functional.layer_norm(x, x.shape[axis:], scale, bias, attributes.get("epsilon", 1e-5))


def _instance_norm(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=attributes.get("epsilon", 1e-5))


def _pool(average: bool) -> Function:
    def pool(attributes: Attributes, x: Tensor) -> Tensor:
        kernel = list(attributes.get("kernel_shape"))
        spatial = len(kernel)
        pads = list(attributes.get("pads", [0] * (2 * spatial)))
        strides = attributes.get("strides", [1] * spatial)
        uneven = pads[:spatial] != pads[spatial:]
        if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or spatial > 2:
            raise attributes.refuse("auto_pad, or a pooling of three dimensions")
        if uneven:
            flat = [pads[side * spatial + axis] for axis in reversed(range(spatial))
                    for side in (0, 1)]  # fmt: skip
            x = functional.pad(x, flat, value=0.0 if average else float("-inf"))
        padding = [0] * spatial if uneven else pads[:spatial]
        ceil = bool(attributes.get("ceil_mode", 0))
        if average:
            call = functional.avg_pool1d if spatial == 1 else functional.avg_pool2d
            counted = bool(attributes.get("count_include_pad", 0))
            return call(x, kernel, strides, padding, ceil, counted)
        most = functional.max_pool1d if spatial == 1 else functional.max_pool2d
        dilation = attributes.get("dilations", [1] * spatial)
        return most(x, kernel, strides, padding, dilation, ceil)

    return pool


def _global_average_pool(_attributes: Attributes, x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


def _reduce(name: str) -> Function:
    def reduce(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
        along = _axes(attributes, axes) or list(range(x.ndim))
        keep = bool(attributes.get("keepdims", 1))
        if name == "l2":
            return torch.linalg.vector_norm(x, dim=along, keepdim=keep)
        result = getattr(torch, name)(x, dim=tuple(along), keepdim=keep)
        assert isinstance(result, Tensor)
        return result

    return reduce


def _softmax(function: Function) -> Function:
    def softmax(attributes: Attributes, x: Tensor) -> Tensor:
        axis = attributes.get("axis", -1 if attributes.opset >= 13 else 1)
        result = function(x, dim=axis)
        assert isinstance(result, Tensor)
        return result

    return softmax


def _resize(attributes: Attributes, x: Tensor, *given: Any) -> Tensor:
    scales = given[1] if len(given) > 1 else (given[0] if len(given) == 1 else None)
    sizes = given[2] if len(given) > 2 else None
    mode = attributes.get("mode", "nearest")
    if mode not in ("nearest", "linear") or x.ndim != 4:
        raise attributes.refuse(f"resizing by {mode} of {x.ndim} dimensions")
    if not sizes:
        factors = scales or attributes.get("scales")
        extents = [int(size * factor) for size, factor in zip(x.shape, factors, strict=True)]
    else:
        extents = _numbers(sizes)
    return functional.interpolate(
        x, size=extents[2:], mode="nearest" if mode == "nearest" else "bilinear"
    )


def _plain(function: Function) -> Function:
    """A torch function of the inputs alone."""
    return lambda _attributes, *inputs: function(*inputs)


def _shape(attributes: Attributes, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[attributes.get("start", 0) : attributes.get("end")])


def _div(_attributes: Attributes, a: Tensor, b: Tensor) -> Tensor:
    whole = not a.is_floating_point() and not b.is_floating_point()
    return torch.div(a, b, rounding_mode="trunc") if whole else a / b


def _trilu(attributes: Attributes, x: Tensor, k: Any = None) -> Tensor:
    diagonal = 0 if k is None else int(k)
    return x.triu(diagonal) if attributes.get("upper", 1) else x.tril(diagonal)


def _dropout(_attributes: Attributes, x: Tensor, *_: Any) -> Tensor:
    return x


#: Inputs that are read as numbers: shapes, axes, bounds. They must not depend on data.
NUMBERS: dict[str, frozenset[int]] = {
    "Reshape": frozenset({1}),
    "Squeeze": frozenset({1}),
    "Unsqueeze": frozenset({1}),
    "Slice": frozenset({1, 2, 3, 4}),
    "Split": frozenset({1}),
    "Expand": frozenset({1}),
    "Pad": frozenset({1, 2, 3}),
    "ConstantOfShape": frozenset({0}),
    "Resize": frozenset({1, 2, 3}),
    "Clip": frozenset({1, 2}),
    "Range": frozenset({0, 1, 2}),
    "Tile": frozenset({1}),
    "CumSum": frozenset({1}),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), frozenset({4})),
    "Trilu": frozenset({1}),
    **{f"Reduce{kind}": frozenset({1}) for kind in ("Mean", "Sum", "Max", "Min", "L2")},
}

OPERATORS: dict[str, Function] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    "RNN": rnn,
    "GRU": gru,
    "LSTM": lstm,
    "Einsum": lambda attributes, *inputs: torch.einsum(attributes.get("equation"), *inputs),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Split": _split,
    "Expand": _expand,
    "Gather": _gather,
    "Pad": _pad,
    "Transpose": lambda attributes, x: x.permute(
        attributes.get("perm", list(reversed(range(x.ndim))))
    ),
    "Concat": lambda attributes, *inputs: torch.cat(inputs, dim=attributes.get("axis")),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
    "Range": _plain(lambda start, end, step: torch.arange(start, end, step)),
    "Cast": _cast,
    "Clip": _clip,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "MaxPool": _pool(average=False),
    "AveragePool": _pool(average=True),
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "ReduceMax": _reduce("amax"),
    "ReduceMin": _reduce("amin"),
    "ReduceL2": _reduce("l2"),
    "Softmax": _softmax(torch.softmax),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Resize": _resize,
    "Gelu": lambda attributes, x: functional.gelu(
        x, approximate=attributes.get("approximate", "none")
    ),
    "LeakyRelu": lambda attributes, x: functional.leaky_relu(x, attributes.get("alpha", 0.01)),
    "Elu": lambda attributes, x: functional.elu(x, attributes.get("alpha", 1.0)),
    "HardSigmoid": lambda attributes, x: (
        x * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5)
    ).clamp(0.0, 1.0),
    "HardSwish": _plain(functional.hardswish),
    "Dropout": _dropout,
    "Identity": _plain(lambda x: x),
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _div,
    "Pow": _plain(torch.pow),
    "Sqrt": _plain(torch.sqrt),
    "Reciprocal": _plain(torch.reciprocal),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Erf": _plain(torch.erf),
    "Abs": _plain(torch.abs),
    "Neg": _plain(torch.neg),
    "Relu": _plain(torch.relu),
    "Sigmoid": _plain(torch.sigmoid),
    "Tanh": _plain(torch.tanh),
    "Softplus": _plain(functional.softplus),
    "Sin": _plain(torch.sin),
    "Cos": _plain(torch.cos),
    "Floor": _plain(torch.floor),
    "Where": _plain(torch.where),
    "Mod": lambda attributes, a, b: (
        torch.fmod(a, b) if attributes.get("fmod", 0) else torch.remainder(a, b)
    ),
    "Trilu": _trilu,
    "Tile": lambda _attributes, x, repeats: x.repeat(*_numbers(repeats)),
    "CumSum": lambda _attributes, x, axis: x.cumsum(int(axis)),
    "ArgMax": lambda attributes, x: x.argmax(
        attributes.get("axis", 0), keepdim=bool(attributes.get("keepdims", 1))
    ),
    "GatherElements": lambda attributes, x, index: x.gather(attributes.get("axis", 0), index),
    "GreaterOrEqual": _plain(torch.ge),
    "LessOrEqual": _plain(torch.le),
    "Sign": _plain(torch.sign),
    "Ceil": _plain(torch.ceil),
    "Round": _plain(torch.round),
    "IsNaN": _plain(torch.isnan),
    "Selu": _plain(functional.selu),
    "Softsign": _plain(functional.softsign),
    "Mish": _plain(functional.mish),
    "Size": _plain(lambda x: torch.tensor(x.numel())),
    "Equal": _plain(torch.eq),
    "Less": _plain(torch.lt),
    "Greater": _plain(torch.gt),
    "Not": _plain(torch.logical_not),
    "And": _plain(torch.logical_and),
    "Or": _plain(torch.logical_or),
    "Max": _plain(torch.maximum),
    "Min": _plain(torch.minimum),
    "PRelu": _plain(lambda x, slope: functional.prelu(x, slope.reshape(-1))),
}
