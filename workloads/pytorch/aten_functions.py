"""What each supported ATen operator is in a trace, apart from those that become GEMMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Change how the same elements are addressed, or copy them only to change the layout: free.
WHOLE_VIEWS = frozenset(
    [
        "_reshape_alias",
        "_to_copy",
        "_unsafe_view",
        "alias",
        "clone",
        "contiguous",
        "detach",
        "expand",
        "expand_as",
        "flatten",
        "lift_fresh_copy",
        "movedim",
        "moveaxis",
        "adjoint",
        "mH",
        "mT",
        "matrix_H",
        "numpy_T",
        "permute",
        "pixel_shuffle",
        "pixel_unshuffle",
        "reshape",
        "squeeze",
        "swapaxes",
        "swapdims",
        "t",
        "T",
        "to",
        "transpose",
        "type_as",
        "unflatten",
        "unsqueeze",
        "view",
        "view_as",
        "broadcast_to",
        "positive",
    ]
)

#: Select a part of the elements: free, the reader touches only that part.
PARTIAL_VIEWS = frozenset(
    [
        "chunk",
        "diagonal",
        "narrow",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "tensor_split",
        "unbind",
        "unsafe_split",
        "unsafe_chunk",
    ]
)

#: Gather rows by an index: an element-wise copy of what is selected.
GATHERS = frozenset(["embedding", "gather", "index", "index_select", "take_along_dim"])

#: Take a size and no values from their argument.
FILLS = frozenset(
    [
        "arange",
        "empty",
        "empty_like",
        "full",
        "full_like",
        "new_empty",
        "new_full",
        "new_ones",
        "new_zeros",
        "ones",
        "ones_like",
        "rand",
        "rand_like",
        "randn",
        "randn_like",
        "scalar_tensor",
        "zeros",
        "zeros_like",
    ]
)

#: Checks that the exporter leaves in the graph, and numbers read from tensors.
ASSERTIONS = frozenset(
    [
        "_assert_async",
        "_assert_scalar",
        "_assert_tensor_metadata",
        "item",
        "sym_constrain_range",
        "sym_constrain_range_for_size",
        "sym_size",
    ]
)

Saved = Literal["inputs", "outputs"]


@dataclass(frozen=True)
class Pointwise:
    """An element-wise function or a reduction.

    Attributes:
        backward: "pass" (gradient unchanged), "none" (no gradient), or which forward tensors its
            backward operator reads besides the output gradient.
        backward_kind: whether the backward operator folds (softmax) or not.
    """

    kind: Literal["elementwise", "reduction"]
    backward: frozenset[Saved] | Literal["pass", "none"]
    backward_kind: Literal["elementwise", "reduction"] = "elementwise"


_READS: dict[str, frozenset[Saved]] = {
    "nothing": frozenset(),
    "inputs": frozenset({"inputs"}),
    "outputs": frozenset({"outputs"}),
    "both": frozenset({"inputs", "outputs"}),
}

_ELEMENTWISE = {
    "nothing": "constant_pad_nd cumsum flip index_add index_put neg pad reflection_pad2d repeat "
    "repeat_interleave scatter scatter_add replication_pad2d roll sub rsub "
    "upsample_bilinear2d upsample_nearest2d tril triu",
    "inputs": "_weight_norm abs addcdiv addcmul atan2 celu clamp clamp_max clamp_min cos div elu "
    "erf gelu glu hardsigmoid hardswish hardtanh leaky_relu lerp log log1p log2 log_sigmoid "
    "masked_fill maximum minimum mish mul pow prelu selu silu sin softplus softsign square where",
    "outputs": "exp expm1 reciprocal relu relu6 rsqrt sigmoid sqrt tanh",
}
_REDUCTIONS = {
    "nothing": "adaptive_avg_pool1d adaptive_avg_pool2d avg_pool1d avg_pool2d mean sum",
    "inputs": "binary_cross_entropy_with_logits cross_entropy_loss l1_loss linalg_vector_norm "
    "cumprod logsumexp vdot mse_loss nll_loss nll_loss_nd norm prod smooth_l1_loss std var",
    "both": "amax amin max min sort topk",
}
_SOFTMAXES = "softmax log_softmax _softmax _log_softmax"
_WITHOUT_GRADIENT = {
    "elementwise": "bitwise_and bitwise_not bitwise_or ceil eq floor ge gt isinf isnan le "
    "logical_and logical_not logical_or logical_xor lt ne one_hot round sign",
    "reduction": "all any argmax argmin argsort bincount histc nonzero",
}


def _functions() -> dict[str, Pointwise]:
    table: dict[str, Pointwise] = {}
    for reads, names in _ELEMENTWISE.items():
        table.update(dict.fromkeys(names.split(), Pointwise("elementwise", _READS[reads])))
    for reads, names in _REDUCTIONS.items():
        table.update(dict.fromkeys(names.split(), Pointwise("reduction", _READS[reads])))
    softmax = Pointwise("reduction", _READS["outputs"], backward_kind="reduction")
    table.update(dict.fromkeys(_SOFTMAXES.split(), softmax))
    table.update(
        dict.fromkeys(_WITHOUT_GRADIENT["elementwise"].split(), Pointwise("elementwise", "none"))
    )
    table.update(
        dict.fromkeys(_WITHOUT_GRADIENT["reduction"].split(), Pointwise("reduction", "none"))
    )
    table["add"] = Pointwise("elementwise", "pass")
    return table


#: ATen name (without overload and in-place underscore) -> what it is.
POINTWISE: dict[str, Pointwise] = _functions()
