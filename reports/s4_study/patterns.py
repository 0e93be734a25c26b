"""A dense trace with balanced or N:M patterns on its weights, without drawing masks.

Timing of a balanced pattern does not depend on which weights are kept, so one capture serves all
sparsities. What stays dense is what `extract` leaves dense: the first layer, and layers whose
channels the group does not divide.
"""

from __future__ import annotations

from sparsesim.trace import NM, Balanced, Gemm, Operand, Trace


def with_pattern(trace: Trace, pattern: Balanced | NM) -> Trace:
    """`trace` (captured without pruning) with `pattern` on every weight that can have it."""
    group = pattern.m if isinstance(pattern, NM) else pattern.group
    dense = frozenset(
        operator.b.tensor
        for operator in trace.operators
        if isinstance(operator, Gemm) and not _prunable(trace, operator, group)
    )
    operators = tuple(
        operator.model_copy(update={"b": Operand(tensor=operator.b.tensor, pattern=pattern)})
        if isinstance(operator, Gemm) and operator.b.tensor not in dense
        else operator
        for operator in trace.operators
    )
    return Trace(trace.manifest.model_copy(update={"operators": operators}), trace.bits)


def _prunable(trace: Trace, gemm: Gemm, group: int) -> bool:
    """Weights, not of the first layer (it reads an input), with whole groups of channels."""
    if trace.tensors[gemm.b.tensor].role != "weight" or gemm.group_axis % group:
        return False
    made = {
        name
        for operator in trace.operators
        for name in (operator.outputs if hasattr(operator, "outputs") else (operator.output,))
    }
    return gemm.a.tensor.split("[")[0] in made
