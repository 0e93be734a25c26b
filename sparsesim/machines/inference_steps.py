"""From a trace to what an inference machine runs: host transfers added, fused functions joined.

Shared by the machine families that run inference from a host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparsesim.machines.operator_time import OperatorTime
from sparsesim.trace import Gemm, Operator, Phase, Trace
from sparsesim.trace.trace import operator_tensors

HOST_INPUT = "host.input"
HOST_OUTPUT = "host.output"


@dataclass(frozen=True)
class Step:
    """One thing the chip does.

    Attributes:
        operator: of the trace; None for a host transfer.
        fused_into: the operator in whose drain path this one is done.
        host_bytes: what a host transfer moves.
    """

    name: str
    layer: str
    phase: Phase
    kind: str
    deps: tuple[str, ...]
    operator: Operator | None = None
    fused_into: str | None = None
    host_bytes: int = 0


def inference_steps(
    trace: Trace, is_fused: Callable[[str], bool], element_bytes: int
) -> tuple[Step, ...]:
    """Steps in a topological order.

    An element-wise function for which `is_fused` costs nothing if its first input was made by
    another operator. Whoever reads its result depends on that operator instead. Host transfers
    count `element_bytes` per element.
    """
    writer: dict[str, str] = {}
    fused: dict[str, str] = {}
    steps: list[Step] = []
    ends: dict[str, tuple[str, ...]] = {}  # what a reader of an operator's result waits for
    fed = host_inputs(trace)
    host_bytes = sum(trace.tensors[name].elements for name in fed) * element_bytes
    phase = trace.operators[0].phase
    if host_bytes:
        steps.append(Step(HOST_INPUT, "host", phase, "transfer", (), host_bytes=host_bytes))
    read: set[str] = set()
    for op in trace.operators:
        deps = tuple(dict.fromkeys(end for dep in op.deps for end in ends[dep]))
        tensors = operator_tensors(op)
        inputs = op.inputs if not isinstance(op, Gemm) and hasattr(op, "inputs") else tensors[:2]
        outputs = op.outputs if hasattr(op, "outputs") else (tensors[-1],)
        if any(_root(name) in fed for name in inputs):
            deps = (HOST_INPUT, *deps)
        into = None
        if op.kind == "elementwise" and is_fused(op.function) and op.inputs:
            made_by = writer.get(_root(op.inputs[0]))
            into = fused.get(made_by, made_by) if made_by else None
        if into is not None:
            fused[op.name] = into
            ends[op.name] = deps
        else:
            ends[op.name] = (op.name,)
        steps.append(Step(op.name, op.layer, op.phase, op.kind, deps, op, into))
        read.update(_root(name) for name in inputs)
        writer.update((name, op.name) for name in outputs)
    results = [name for name in writer if name not in read]
    if results:
        last = tuple(dict.fromkeys(end for name in results for end in ends[writer[name]]))
        size = sum(trace.tensors[name].elements for name in results) * element_bytes
        steps.append(Step(HOST_OUTPUT, "host", phase, "transfer", last, host_bytes=size))
    return tuple(steps)


def timed_steps(
    steps: Sequence[Step],
    time: Callable[[Step], OperatorTime],
    progress: Callable[[int, int], None] | None,
) -> list[OperatorTime]:
    """`time` of each step, in order; `progress` is called with (steps done, steps)."""
    times = []
    for number, step in enumerate(steps):
        times.append(time(step))
        if progress is not None:
            progress(number + 1, len(steps))
    return times


def static_tensors(trace: Trace) -> frozenset[str]:
    """Weights: operands B that are parameters."""
    return frozenset(
        op.b.tensor
        for op in trace.operators
        if isinstance(op, Gemm) and trace.tensors[op.b.tensor].role == "weight"
    )


def produced_tensors(trace: Trace) -> frozenset[str]:
    """Tensors that some operator writes."""
    return frozenset(
        name
        for op in trace.operators
        for name in (op.outputs if hasattr(op, "outputs") else (operator_tensors(op)[-1],))
    )


def host_inputs(trace: Trace) -> frozenset[str]:
    """Activations that nothing in the trace makes, but for caches (they are operands B)."""
    made = produced_tensors(trace)
    caches = {_root(op.b.tensor) for op in trace.operators if isinstance(op, Gemm)}
    return frozenset(
        root
        for op in trace.operators
        for name in operator_tensors(op)
        if (root := _root(name)) not in made
        and root not in caches
        and root in trace.tensors
        and trace.tensors[root].role == "activation"
    )


def _root(tensor: str) -> str:
    return tensor.split("[")[0]
