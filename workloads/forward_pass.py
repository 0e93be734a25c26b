"""The forward operators of a trace, for inference and as the FF phase of training."""

from __future__ import annotations

from sparsesim.trace import Phase
from workloads.forward_graph import ForwardGemm, ForwardGraph
from workloads.trace_builder import TraceBuilder


def add_forward(graph: ForwardGraph, builder: TraceBuilder, training: bool) -> None:
    """Add every step once, as `<step>` (inference) or `<step>.FF` (training).

    What is kept for the backward pass only (argmax, statistics) is written in training alone.
    """
    phase: Phase = "FF" if training else "inference"
    for step in graph.steps:
        name = f"{step.name}.FF" if training else step.name
        inputs = tuple(builder.read(view) for view in step.inputs)
        outputs = tuple(builder.declare(storage) for storage in step.outputs)
        if isinstance(step, ForwardGemm):
            weight = step.weight
            if weight is None:
                b = builder.activations.operand(step, "b", inputs[1])
            else:
                b = builder.masks.forward(weight)
            builder.gemm(
                step,
                name,
                phase,
                (step.m, step.n, step.k),
                builder.activations.operand(step, "a", inputs[0]),
                b,
                outputs[0],
                also_reads=inputs[2:],
                conv=step.conv,
            )
            continue
        if training:
            outputs += tuple(builder.declare(storage) for storage in step.extra)
        builder.pointwise(
            step.kind, name, step.layer, phase, step.function, step.elements, inputs, outputs
        )
