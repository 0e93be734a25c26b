"""Small ONNX graphs, written node by node as exporters write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

Arrays = dict[str, npt.NDArray[Any]]


def model_of(
    nodes: Sequence[NodeProto],
    weights: Arrays,
    inputs: dict[str, Sequence[int | str]],
    output: tuple[str, Sequence[int | str]],
) -> ModelProto:
    """A model of float inputs, opset 17."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, list(output[1]))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def pruned_classifier(path: Path) -> Arrays:
    """A convolution, a masked Gemm whose mask was not removed, an anonymous MatMul.

    The shape of the reshape is computed from the input's, as exporters do with an open batch.
    """
    rng = np.random.default_rng(0)
    weights: Arrays = {
        "conv1.weight": rng.standard_normal((16, 3, 3, 3), dtype=np.float32),
        "conv1.bias": np.zeros(16, np.float32),
        "fc.weight_orig": rng.standard_normal((32, 16), dtype=np.float32),
        "fc.weight_mask": (rng.random((32, 16)) < 0.5).astype(np.float32),
        "onnx::MatMul_12": rng.standard_normal((32, 8), dtype=np.float32),
        "zero": np.array(0),
        "axes": np.array([0]),
        "minus": np.array([-1]),
    }
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "conv1.weight", "conv1.bias"], ["c"], "/conv1/Conv",
             auto_pad="SAME_UPPER", strides=[2, 2]),
        make("Relu", ["c"], ["r"], "/relu/Relu"),
        make("MaxPool", ["r"], ["p"], "/pool", kernel_shape=[2, 2], strides=[2, 2]),
        make("GlobalAveragePool", ["p"], ["g"], "/average"),
        make("Shape", ["x"], ["s"], "/Shape"),
        make("Gather", ["s", "zero"], ["b"], "/Gather", axis=0),
        make("Unsqueeze", ["b", "axes"], ["bu"], "/Unsqueeze"),
        make("Concat", ["bu", "minus"], ["shape"], "/Concat", axis=0),
        make("Reshape", ["g", "shape"], ["f"], "/Reshape"),
        make("Mul", ["fc.weight_mask", "fc.weight_orig"], ["wm"], "/fc/Mul"),
        make("Gemm", ["f", "wm"], ["y"], "/fc/Gemm", transB=1),
        make("MatMul", ["y", "onnx::MatMul_12"], ["z"], "/head/MatMul"),
        make("Softmax", ["z"], ["out"], "/Softmax", axis=-1),
    ]  # fmt: skip
    save(model_of(nodes, weights, {"x": ["N", 3, 33, 32]}, ("out", ["N", 8])), str(path))
    return weights
