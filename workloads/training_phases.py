"""Loss, back-propagation (BP), weight gradients (WU) and updates, derived from the forward pass.

For a layer C[m, n] = A[m, k] B[k, n] with weights B:  dA = dC B^T (BP) and dB = A^T dC (WU). For a
convolution these are again implicit GEMMs: BP streams im2col rows of the output gradient
(k = taps x output channels), WU the transposed im2col matrix of the input (m = taps x input
channels, k = batch x output pixels). BP of a strided convolution is counted without the zeros
that dilating the output gradient would insert, so it has exactly the MACs of FF.
"""

from __future__ import annotations

import math
from typing import Any

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Convolution, Operand, Phase, Unstructured
from workloads.forward_graph import (
    PASS_THROUGH,
    ForwardGemm,
    ForwardGraph,
    ForwardPointwise,
    Storage,
    View,
    layer_of_parameter,
)
from workloads.trace_builder import TraceBuilder

STRIDED_BP_NOTE = (
    "BP of a strided convolution is counted without the zeros that dilating its output gradient "
    "would insert"
)


#: FP32 tensors per weight that an optimizer keeps beside the master weight, and its function.
OPTIMIZERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sgd": ("sgd_momentum", ("momentum",)),
    "adam": ("adam", ("mean", "variance")),
}


def add_backward(graph: ForwardGraph, builder: TraceBuilder, optimizer: str = "sgd") -> str:
    """Add loss, BP, WU and update operators after the forward ones.

    Args:
        optimizer: one of `OPTIMIZERS`.

    Returns:
        What the loss is, in words.

    Raises:
        InputError: no output of the model depends on a trainable parameter.
    """
    back = _Backward(graph, builder, optimizer)
    described = back.add_loss()
    back.run()
    return described


class _Backward:
    def __init__(self, graph: ForwardGraph, builder: TraceBuilder, optimizer: str) -> None:
        self._graph = graph
        self._builder = builder
        self._optimizer = optimizer
        #: storage -> (gradient tensor, part of the storage that it covers)
        self._parts: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._whole: dict[str, str] = {}

    # ---- loss ---------------------------------------------------------------------------------

    def add_loss(self) -> str:
        output = self._trained_output()
        if output.elements == 1:
            seed = self._builder.new_tensor("loss.grad", output.shape, "float16", "gradient")
            self._parts[output.storage.name] = [(seed, output.selection)]
            return "the model's own scalar output"
        shape = output.shape
        classes = shape[1] if len(shape) > 1 else shape[0]
        logits = self._builder.read(output)
        tensor = self._builder.new_tensor
        probabilities = tensor("loss.probabilities", shape, "float16", "activation")
        labels = tensor("labels", (output.elements // classes,), "int32", "activation")
        loss = tensor("loss.out", (), "float32", "activation")
        self._builder.pointwise(
            "reduction", "loss.softmax.FF", "loss", "FF", "softmax", output.elements,
            (logits,), (probabilities,),
        )  # fmt: skip
        self._builder.pointwise(
            "reduction", "loss.cross_entropy.FF", "loss", "FF", "cross_entropy", output.elements,
            (probabilities, labels), (loss,),
        )  # fmt: skip
        gradient = self._gradient_tensor(output)
        self._builder.pointwise(
            "elementwise", "loss.BP", "loss", "BP", "softmax_cross_entropy_backward",
            output.elements, (probabilities, labels), (gradient,),
        )  # fmt: skip
        self._contribute(output, gradient, output.elements, "loss")
        return f"softmax and cross entropy over an output of shape {list(shape)}"

    def _trained_output(self) -> View:
        for output in self._graph.outputs:
            if output.needs_gradient:
                return output
        raise InputError(
            "--phase training: no output of the model depends on a trainable parameter; "
            "use --phase inference"
        )

    # ---- steps in reverse ---------------------------------------------------------------------

    def run(self) -> None:
        first_use = self._first_uses()
        for index in reversed(range(len(self._graph.steps))):
            step = self._graph.steps[index]
            gradients = {
                storage.name: gradient
                for storage in step.outputs
                if (gradient := self._finished(storage)) is not None
            }
            if gradients and isinstance(step, ForwardGemm):
                self._gemm(step, gradients[step.output.name])
            elif gradients and isinstance(step, ForwardPointwise):
                self._pointwise(step, gradients)
            for parameter in first_use.get(index, ()):
                self._update(parameter)

    def _first_uses(self) -> dict[int, list[Storage]]:
        """Parameters by the earliest step that reads them: there their gradient is complete."""
        position: dict[str, int] = {}
        for index, step in enumerate(self._graph.steps):
            for view in step.inputs:
                position.setdefault(view.storage.name, index)
        uses: dict[int, list[Storage]] = {}
        for parameter in self._graph.parameters:
            if parameter.needs_gradient and parameter.name in position:
                uses.setdefault(position[parameter.name], []).append(parameter)
        return uses

    def _gemm(self, step: ForwardGemm, gradient: str) -> None:
        builder, weight, conv = self._builder, step.weight, step.conv
        if step.a.needs_gradient:
            a, b = Operand(tensor=gradient), Operand(tensor=step.b.tensor)
            if weight is not None:
                b = builder.masks.backward(weight)
                plan = builder.masks.plan(weight)
                if plan.gradient:
                    assert isinstance(plan.pattern, NM | Balanced | Unstructured)
                    # Pruned as it is streamed: no mask to store.
                    a = Operand(tensor=gradient, pattern=plan.pattern)
            sizes = (step.m, step.k, step.n)
            geometry: dict[str, Any] = {}
            if conv is not None:
                sizes = (step.m, conv.channels, conv.taps * step.n)
                geometry["conv"] = output_gradient_geometry(conv, step.n)
            product = (step.groups, sizes[0], sizes[1])
            produced = math.prod(product) if conv is None else step.a.elements
            output = self._gradient_tensor(step.a, product if produced > step.a.elements else None)
            name = f"{step.name}.BP" if weight is not None else f"{step.name}.BP_a"
            builder.gemm(step, name, "BP", sizes, a, b, output, **geometry)
            self._contribute(step.a, output, produced, step.name)
        if step.b.needs_gradient:
            product = (step.groups, step.k, step.n)
            produced = math.prod(product)
            output = self._gradient_tensor(step.b, product if produced > step.b.elements else None)
            geometry = {"conv": conv, "conv_transposed": conv is not None}
            builder.gemm(
                step,
                f"{step.name}.BP_b" if weight is None else f"{step.name}.WU",
                "BP" if weight is None else "WU",
                (step.k, step.n, step.m),
                builder.activations.transposed(step, step.a.tensor),
                Operand(tensor=gradient),
                output,
                **geometry,
            )
            self._contribute(step.b, output, produced, step.name)
        if step.bias is not None and step.bias.needs_gradient:
            output = self._gradient_tensor(step.bias)
            builder.pointwise(
                "reduction", f"{step.name}.bias.WU", step.layer, "WU", "bias_gradient",
                step.output.elements, (gradient,), (output,),
            )  # fmt: skip
            self._contribute(step.bias, output, step.bias.elements, step.name)

    def _pointwise(self, step: ForwardPointwise, gradients: dict[str, str]) -> None:
        rule = step.backward
        targets = [view for view in step.inputs if view.needs_gradient]
        if rule is None or not targets:
            return
        if rule == PASS_THROUGH:
            (gradient,) = gradients.values()
            if step.function == "cat":
                for index, view in enumerate(step.inputs):
                    if view.needs_gradient:
                        part = self._builder.part(gradient, f"{gradient}[{index}]", view.shape)
                        self._contribute(view, part, view.elements, step.name)
                return
            for view in targets:
                self._contribute(view, gradient, step.outputs[0].elements, step.name)
            return
        saved: list[str] = []
        if "inputs" in rule.saved:
            saved += [view.tensor for view in step.inputs]
        if "outputs" in rule.saved:
            saved += [storage.name for storage in step.outputs]
        if "extra" in rule.saved:
            saved += [storage.name for storage in step.extra]
        outputs = tuple(self._gradient_tensor(view) for view in targets)
        only_parameters = all(view.storage.role == "weight" for view in targets)
        phase: Phase = "WU" if only_parameters else "BP"
        self._builder.pointwise(
            rule.kind, f"{step.name}.{phase}", step.layer, phase, rule.function, rule.elements,
            tuple(dict.fromkeys([*gradients.values(), *saved])), outputs,
        )  # fmt: skip
        for view, output in zip(targets, outputs, strict=True):
            self._contribute(view, output, view.elements, step.name)

    # ---- gradients ----------------------------------------------------------------------------

    def _gradient_tensor(self, view: View, shape: tuple[int, ...] | None = None) -> str:
        return self._builder.new_tensor(
            f"{view.storage.name}.grad", shape or view.shape, "float16", "gradient"
        )

    def _contribute(self, view: View, gradient: str, produced: int, stem: str) -> None:
        """Record `gradient` (of `produced` elements) for the storage of `view`.

        A broadcast or expanded operand is read more often than it has elements: the gradient is
        first summed to the operand's own size.
        """
        expanded = not view.selection and view.elements > view.storage.elements
        shape = view.storage.shape if expanded else view.shape
        if produced > math.prod(shape):
            summed = self._builder.new_tensor(
                f"{view.storage.name}.grad", shape, "float16", "gradient"
            )
            phase: Phase = "WU" if view.storage.role == "weight" else "BP"
            self._builder.pointwise(
                "reduction", f"{stem}.sum_gradient.{phase}", stem, phase, "sum_gradient",
                produced, (gradient,), (summed,),
            )  # fmt: skip
            gradient = summed
        self._parts.setdefault(view.storage.name, []).append((gradient, view.selection))

    def _finished(self, storage: Storage) -> str | None:
        """The whole gradient of a storage; several contributions are accumulated first."""
        if storage.name in self._whole:
            return self._whole[storage.name]
        parts = self._parts.get(storage.name)
        if parts is None:
            return None
        if len(parts) == 1 and not parts[0][1]:
            self._whole[storage.name] = parts[0][0]
            return parts[0][0]
        total = self._builder.new_tensor(
            f"{storage.name}.grad.total", storage.shape, "float16", "gradient"
        )
        stem = storage.name.removesuffix(".out")
        if storage.role == "weight":
            stem = layer_of_parameter(storage.name)
        partial = any(selection for _, selection in parts)
        phase: Phase = "WU" if storage.role == "weight" else "BP"
        self._builder.pointwise(
            "elementwise", f"{stem}.accumulate.{phase}", stem, phase,
            "scatter_gradients" if partial else "add_gradients", storage.elements,
            tuple(dict.fromkeys(gradient for gradient, _ in parts)), (total,),
        )  # fmt: skip
        self._whole[storage.name] = total
        return total

    def _update(self, parameter: Storage) -> None:
        """The optimizer on FP32 state, then the FP16 copy that the GEMMs read."""
        gradient = self._finished(parameter)
        if gradient is None:
            return
        name, builder = parameter.name, self._builder
        function, kept = OPTIMIZERS[self._optimizer]
        state = tuple(
            builder.new_tensor(f"{name}.{part}", parameter.shape, "float32", "state")
            for part in ("master", *kept)
        )
        layer = layer_of_parameter(name)
        builder.pointwise(
            "elementwise", f"{layer}.update", layer, "WU", function, parameter.elements,
            (*state, gradient), (*state, name),
            # The copy is overwritten: whoever still reads it for BP comes first.
            after=builder.gradient_readers(name),
        )  # fmt: skip


def output_gradient_geometry(conv: Convolution, output_channels: int) -> Convolution:
    """Geometry of BP: the image is the output gradient, read once per output pixel and tap."""
    (tall, wide), (down, right) = conv.kernel, conv.dilation
    return Convolution(
        batch=conv.batch,
        height=conv.out_height,
        width=conv.out_width,
        channels=output_channels,
        out_height=conv.out_height,
        out_width=conv.out_width,
        kernel=conv.kernel,
        padding=(math.ceil(down * (tall - 1) / 2), math.ceil(right * (wide - 1) / 2)),
        dilation=conv.dilation,
    )
