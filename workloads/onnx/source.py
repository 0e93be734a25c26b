"""Reading an ``.onnx`` file: checked, shapes fixed, turned into a module with example inputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sparsesim.errors import InputError
from workloads.onnx.module import MAX_ELEMENTS, OnnxModule
from workloads.pytorch.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

#: Extent of an input that the file leaves open, other than the first (the batch).
OPEN_EXTENT = 128
#: Protocol buffers hold no more; larger models keep their weights in files beside.
MAX_BYTES = 2**31 - 1


def read_onnx(path: Path, batch: int) -> Network:
    """The graph in an ``.onnx`` file; an open first extent becomes `batch`, others 128.

    The file is data: it names operators of the ONNX standard, and no code in it is run. Weights in
    files beside it are read only from its own folder.

    Raises:
        InputError: unreadable, truncated or inconsistent; an operator or data type that is not
            supported, or one of a vendor's own; NaN in the weights.
    """
    model = _load(path)
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    if not inputs:
        raise InputError(f"{path}: the graph has no inputs")
    notes: list[str] = []
    examples = {value.name: _example(path, value, batch, notes) for value in inputs}
    module = OnnxModule(path, model, examples)
    arguments = tuple(examples.values())
    network = Network(str(path), module, arguments, weights=f"in {path.name}", notes=notes)
    if network.batch is not None and network.batch != batch:
        notes.append(f"{path.name} fixes the batch at {network.batch}, which is what the trace has")
    return network


def _load(path: Path) -> ModelProto:
    try:
        import onnx
        from google.protobuf.message import DecodeError
        from onnx.checker import ValidationError
    except ImportError:
        raise InputError(
            f"{path}: reading .onnx needs the package onnx (pip install 'sparsesim[torch]')"
        ) from None
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes; an ONNX file holds at most {MAX_BYTES}")
        onnx.checker.check_model(str(path))  # also that external data stays in the folder
        return onnx.load(str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (DecodeError, ValidationError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: not an ONNX model, or a damaged one ({reason})") from None


def _example(path: Path, value: ValueInfoProto, batch: int, notes: list[str]) -> Any:
    from onnx import helper

    tensor = value.type.tensor_type
    shape = []
    for axis, extent in enumerate(tensor.shape.dim):
        if extent.HasField("dim_value"):
            if extent.dim_value < 1:
                raise InputError(f"{path}: input {value.name!r} has {extent.dim_value} elements")
            shape.append(extent.dim_value)
        elif axis == 0:
            shape.append(batch)
        else:
            shape.append(OPEN_EXTENT)
            notes.append(
                f"input {value.name!r} leaves extent {extent.dim_param or axis} open: "
                f"{OPEN_EXTENT} is taken"
            )
    if math.prod(shape) > MAX_ELEMENTS:
        raise InputError(f"{path}: input {value.name!r} has {math.prod(shape)} elements")
    numpy_type = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    try:
        dtype = getattr(torch, str(numpy_type))
    except AttributeError:
        raise InputError(f"{path}: input {value.name!r} is of type {numpy_type}") from None
    try:
        return torch.zeros(shape, dtype=dtype)
    except RuntimeError as error:  # how torch says that memory does not suffice
        reason = str(error).split("\n")[0]
        raise InputError(f"{path}: input {value.name!r} of shape {shape}: {reason}") from None
