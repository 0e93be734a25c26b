"""An ONNX graph as a `torch.nn.Module`: initializers become parameters, nodes torch calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sparsesim.errors import InputError
from workloads.onnx.attributes import Attributes
from workloads.onnx.operators import NUMBERS, OPERATORS, Function

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

#: Operators whose inputs give a name to a weight that the exporter left anonymous.
_PRODUCTS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "Gather"])
_RECURRENT = frozenset(["RNN", "GRU", "LSTM"])
_RECURRENT_INPUTS = ("", "weight_ih", "weight_hh", "bias", "", "", "", "peepholes")
_DOMAINS = frozenset(["", "ai.onnx"])
MAX_ELEMENTS = 2**33
_MAX_FOLDED = 2**24


@dataclass(frozen=True)
class _Call:
    """One node: `inputs` are names of values, or numbers that are known (shapes, axes)."""

    function: Function
    attributes: Attributes
    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]

    def run(self, values: dict[str, Any]) -> dict[str, Any]:
        operands = [values[part] if isinstance(part, str) else part for part in self.inputs]
        try:
            result = self.function(self.attributes, *operands)
        except InputError:
            raise
        except (
            RuntimeError, TypeError, ValueError, IndexError, KeyError, ArithmeticError, MemoryError
        ) as error:  # fmt: skip
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise InputError(f"{self.attributes.where}: {reason}") from None
        results = result if isinstance(result, tuple | list) else (result,)
        return {name: value for name, value in zip(self.outputs, results, strict=False) if name}


def _module_path(node: NodeProto) -> str:
    """The module that a node was exported from: `/layer1/layer1.0/conv1/Conv` -> layer1.0.conv1."""
    parts = [part for part in (node.name or node.output[0]).split("/") if part]
    if len(parts) > 1 and parts[-1].startswith(node.op_type):
        parts.pop()
    nested = [
        part
        for part, inner in zip(parts, [*parts[1:], ""], strict=True)
        if not inner.startswith(f"{part}.")  # torch repeats the container before its member
    ]
    return ".".join(nested)


class OnnxModule(nn.Module):
    """Runs the nodes of a graph in their order.

    An initializer of floating point is a parameter under its own name (dots make submodules), or
    under the name of the first node that multiplies by it where the exporter gave it none
    (``onnx::MatMul_12``). Pruning masks, integers and constants are buffers. Whatever follows from
    shapes and constants alone is computed here once, for the shapes of the example inputs.

    Raises:
        InputError: an operator or data type is not supported, or a shape depends on data.
    """

    def __init__(self, path: Path, model: ModelProto, examples: dict[str, Tensor]) -> None:
        super().__init__()
        self._path = path
        self._inputs = list(examples)
        self._outputs = [value.name for value in model.graph.output]
        self._places: dict[str, str] = {}
        opset = next((o.version for o in model.opset_import if o.domain in _DOMAINS), 1)
        self._known: dict[str, Tensor] = {}
        self._add_initializers(model.graph)
        self._calls = self._fold(model.graph, opset, examples)

    def forward(self, *arguments: Tensor) -> tuple[Any, ...]:
        values: dict[str, Any] = dict(zip(self._inputs, arguments, strict=True))
        values[""] = None
        for name, place in self._places.items():
            owner, _, last = place.rpartition(".")
            values[name] = getattr(self.get_submodule(owner) if owner else self, last)
        for call in self._calls:
            values.update(call.run(values))
        return tuple(values[name] for name in self._outputs)

    def _fold(self, graph: GraphProto, opset: int, examples: dict[str, Tensor]) -> list[_Call]:
        """Run everything on the meta device, but for real what depends on no data."""
        calls: list[_Call] = []
        meta: dict[str, Any] = {name: value.to("meta") for name, value in examples.items()}
        meta |= {name: self._find(place).to("meta") for name, place in self._places.items()}
        meta[""] = None
        wanted: dict[str, Tensor] = {}
        for node in graph.node:
            label = f"{node.op_type} {node.name!r}"
            if node.domain not in _DOMAINS or node.op_type not in OPERATORS:
                domain = f"{node.domain}." if node.domain else ""
                raise InputError(f"{self._path}: operator {domain}{label} is not supported")
            attributes = Attributes(node, opset, f"{self._path}: {label}", len(node.output))
            for name in node.input:
                if name not in meta and name not in self._known:
                    raise InputError(f"{attributes.where}: its input {name!r} is defined nowhere")
            call = self._call(node, attributes)
            constant = all(
                not isinstance(part, str) or part in self._known or not part for part in call.inputs
            )
            if constant or node.op_type == "Shape":
                if constant:
                    self._refuse_large(call)
                values = self._known if constant else meta
                results = call.run({**values, "": None})
                self._known |= {name: self._bounded(name, r) for name, r in results.items()}
                continue
            used = [part for part in call.inputs if isinstance(part, str) and part in self._known]
            wanted |= {name: self._known[name] for name in used}
            operands = {**meta, **{name: self._known[name].to("meta") for name in used}}
            meta.update(call.run(operands))
            calls.append(call)
        for index, (name, value) in enumerate(wanted.items()):
            self._register(name, ["constants", str(index)], value, trainable=False)
        return calls

    def _call(self, node: NodeProto, attributes: Attributes) -> _Call:
        positions = NUMBERS.get(node.op_type, frozenset())
        inputs: list[Any] = []
        for position, name in enumerate(node.input):
            by_number = position in positions and name
            if node.op_type == "Gather" and position == 1:
                by_number = name in self._known and self._known[name].ndim == 0
            if not by_number:
                inputs.append(name)
            elif name in self._known:
                inputs.append(self._known[name].tolist())
            else:
                raise InputError(
                    f"{attributes.where}: its input {name!r} depends on data; a trace needs fixed "
                    "shapes"
                )
        return _Call(OPERATORS[node.op_type], attributes, tuple(inputs), tuple(node.output))

    def _refuse_large(self, call: _Call) -> None:
        """Refuse a constant that is too large before it takes memory: its size is known first."""
        known = {name: value.to("meta") for name, value in self._known.items()
                 if name in call.inputs}  # fmt: skip
        try:
            with torch.device("meta"):
                results = call.run({**known, "": None})
        except InputError:  # what is wrong with it, or needs values, is found when it is run
            return
        for name, result in results.items():
            self._bounded(name, result)

    def _bounded(self, name: str, value: Any) -> Tensor:
        if not isinstance(value, Tensor) or value.numel() > _MAX_FOLDED:
            raise InputError(f"{self._path}: constant {name!r} is larger than {_MAX_FOLDED}")
        return value

    # ---- initializers -------------------------------------------------------------------------

    def _add_initializers(self, graph: GraphProto) -> None:
        users: dict[str, str] = {}
        factors: set[str] = set()
        for node in graph.node:
            for position, name in enumerate(node.input):
                if node.op_type in _PRODUCTS:
                    users.setdefault(name, f"{_module_path(node)}.weight")
                elif node.op_type in _RECURRENT and _RECURRENT_INPUTS[position : position + 1]:
                    users.setdefault(name, f"{_module_path(node)}.{_RECURRENT_INPUTS[position]}")
                elif node.op_type == "Mul":
                    factors.add(name)
        for tensor in graph.initializer:
            value, name = self._tensor(tensor), tensor.name
            if not value.is_floating_point() or value.numel() <= 1:
                self._known[name] = value
                continue
            mask = name in factors and bool(((value == 0) | (value == 1)).all())
            anonymous = name.startswith("onnx::") or not name.strip("/_.0123456789")
            if anonymous and name in users:
                name = users[name]
            parts = [part for part in name.replace("/", ".").split(".") if part]
            self._register(tensor.name, parts or ["weight"], value, trainable=not mask)

    def _tensor(self, tensor: TensorProto) -> Tensor:
        from onnx import numpy_helper

        elements = 1
        for extent in tensor.dims:
            elements *= extent
        if elements > MAX_ELEMENTS:
            raise InputError(f"{self._path}: {tensor.name!r}: {elements} elements")
        try:
            array = numpy_helper.to_array(tensor, base_dir=str(self._path.parent))
            return torch.from_numpy(array.copy())
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0]
            raise InputError(f"{self._path}: {tensor.name!r}: cannot be read ({reason})") from None

    def _find(self, place: str) -> Tensor:
        owner, _, last = place.rpartition(".")
        found = getattr(self.get_submodule(owner) if owner else self, last)
        assert isinstance(found, Tensor)
        return found

    def _register(self, name: str, parts: list[str], value: Tensor, trainable: bool) -> None:
        """Register `value` at the dotted place `parts`, with `_` added where that is taken."""
        owner: nn.Module = self
        place: list[str] = []
        for part in parts[:-1]:
            while part not in owner._modules and hasattr(owner, part):
                part += "_"
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
            place.append(part)
        last = parts[-1]
        while hasattr(owner, last):
            last += "_"
        if trainable:
            owner.register_parameter(last, nn.Parameter(value))
        else:
            owner.register_buffer(last, value)
        self._places[name] = ".".join([*place, last])
