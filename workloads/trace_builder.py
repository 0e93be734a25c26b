"""Collects tensors and operators of a trace; dependencies follow from who wrote what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sparsesim.trace import (
    Dense,
    Elementwise,
    Gemm,
    Manifest,
    Operand,
    Operator,
    Phase,
    Reduction,
    Tensor,
    Trace,
)
from sparsesim.trace.operators import DType, Role
from sparsesim.trace.trace import operator_tensors
from workloads.activation_masks import ActivationMasks
from workloads.forward_graph import ForwardGemm, Storage, View
from workloads.mask_source import MaskSource


class TraceBuilder:
    """Operators in the order they are added, each depending on the writers of what it reads."""

    def __init__(self, masks: MaskSource, activations: ActivationMasks | None = None) -> None:
        self.masks = masks
        self.activations = ActivationMasks() if activations is None else activations
        self._tensors: dict[str, Tensor] = {}
        self._operators: list[Operator] = []
        self._names: set[str] = set()
        self._writer: dict[str, str] = {}
        self._gradient_readers: dict[str, list[str]] = {}
        self._whole: dict[str, str] = {}  # tensor of a part -> tensor it is a part of

    def declare(self, storage: Storage) -> str:
        """Make a storage a tensor of the trace; returns its name."""
        if storage.name not in self._tensors:
            self._tensors[storage.name] = Tensor(
                name=storage.name, shape=storage.shape, dtype=storage.dtype, role=storage.role
            )
        return storage.name

    def read(self, view: View) -> str:
        """Name of the tensor that reading `view` touches; a selected part has its own size."""
        name = self.declare(view.storage)
        return self.part(name, view.tensor, view.shape) if view.selection else name

    def part(self, whole: str, name: str, shape: tuple[int, ...]) -> str:
        """A tensor that is a part of `whole`: written when `whole` is."""
        if name not in self._tensors:
            of = self._tensors[whole]
            self._tensors[name] = Tensor(name=name, shape=shape, dtype=of.dtype, role=of.role)
            self._whole[name] = self._whole.get(whole, whole)
        return name

    def new_tensor(self, name: str, shape: tuple[int, ...], dtype: DType, role: Role) -> str:
        """A tensor of its own; a name in use gets a number."""
        unique, use = name, 1
        while unique in self._tensors:
            use += 1
            unique = f"{name}@{use}"
        self._tensors[unique] = Tensor(name=unique, shape=shape, dtype=dtype, role=role)
        return unique

    def gemm(
        self,
        step: ForwardGemm,
        name: str,
        phase: Phase,
        sizes: tuple[int, int, int],
        a: Operand,
        b: Operand,
        output: str,
        also_reads: Iterable[str] = (),
        **geometry: Any,
    ) -> None:
        """Add a GEMM of `sizes` (m, n, k) that belongs to `step`."""
        m, n, k = sizes
        name = self._unique(name)
        self._add(
            Gemm(
                name=name,
                layer=step.layer,
                phase=phase,
                deps=self._deps((a.tensor, b.tensor, *also_reads)),
                m=m,
                n=n,
                k=k,
                groups=step.groups,
                a=a,
                b=b,
                output=output,
                **geometry,
            ),
            (a.tensor, b.tensor),
            (output,),
        )

    def pointwise(
        self,
        kind: str,
        name: str,
        layer: str,
        phase: Phase,
        function: str,
        elements: int,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        after: Iterable[str] = (),
    ) -> None:
        """Add an `Elementwise` or `Reduction`; `after` names operators it must not overtake."""
        record = Elementwise if kind == "elementwise" else Reduction
        name = self._unique(name)
        operator = record(
            name=name,
            layer=layer,
            phase=phase,
            deps=self._deps(inputs, after),
            function=function,
            elements=elements,
            inputs=inputs,
            outputs=outputs,
        )
        self._add(operator, inputs, outputs)

    def has_strided_convolution(self) -> bool:
        """Whether some convolution takes steps of more than one pixel."""
        return any(
            isinstance(operator, Gemm)
            and operator.conv is not None
            and max(operator.conv.stride) > 1
            for operator in self._operators
        )

    def has_sparse_product(self) -> bool:
        """Whether some product claims a pattern for its operand B."""
        return any(
            isinstance(operator, Gemm) and not isinstance(operator.b.pattern, Dense)
            for operator in self._operators
        )

    def gradient_readers(self, tensor: str) -> tuple[str, ...]:
        """Operators of the BP phase that read `tensor`: an update must wait for them."""
        return tuple(self._gradient_readers.get(tensor, ()))

    def build(self, name: str, provenance: dict[str, Any]) -> Trace:
        """The validated trace, with the tensors that some operator or mask names."""
        named = {tensor for operator in self._operators for tensor in operator_tensors(operator)}
        manifest = Manifest(
            name=name,
            provenance=provenance,
            tensors=tuple(tensor for tensor in self._tensors.values() if tensor.name in named),
            masks=(*self.masks.records, *self.activations.records),
            operators=tuple(self._operators),
        )
        return Trace(manifest, {**self.masks.bits, **self.activations.bits})

    def _unique(self, name: str) -> str:
        unique, use = name, 1
        while unique in self._names:
            use += 1
            unique = f"{name}@{use}"
        self._names.add(unique)
        return unique

    def _deps(self, inputs: Iterable[str], after: Iterable[str] = ()) -> tuple[str, ...]:
        wholes = (self._whole.get(tensor, tensor) for tensor in inputs)
        writers = [self._writer[tensor] for tensor in wholes if tensor in self._writer]
        return tuple(dict.fromkeys([*writers, *after]))

    def _add(self, operator: Operator, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        self._operators.append(operator)
        for tensor in outputs:
            self._writer[tensor] = operator.name
        if operator.phase == "BP":
            for tensor in inputs:
                whole = self._whole.get(tensor, tensor)
                self._gradient_readers.setdefault(whole, []).append(operator.name)
