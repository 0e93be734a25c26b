"""Attributes of an ONNX node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sparsesim.errors import InputError

if TYPE_CHECKING:
    from onnx import NodeProto


class Attributes:
    """Attributes of one node, the version of the operator set, and where it stands."""

    def __init__(self, node: NodeProto, opset: int, where: str, outputs: int) -> None:
        from onnx import helper, numpy_helper

        self.opset, self.where, self.outputs = opset, where, outputs
        self._values: dict[str, Any] = {}
        for attribute in node.attribute:
            value = helper.get_attribute_value(attribute)
            if attribute.HasField("t"):
                value = torch.from_numpy(numpy_helper.to_array(attribute.t).copy())
            self._values[attribute.name] = value.decode() if isinstance(value, bytes) else value

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name, default)

    def refuse(self, what: str) -> InputError:
        return InputError(f"{self.where}: {what} is not supported")
