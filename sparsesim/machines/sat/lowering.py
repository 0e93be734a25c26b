"""From the operators of a trace to the steps of the machine, by its dataflow options.

`weight_reduction`: *pregenerated* selects the N:M values of a weight right after its update, all
copies at once, and forward and backward passes read compact weights; *online* writes the dense
weight and selects before each GEMM that wants N:M values. Gradients or activations that are pruned
as they come (SDGP) are always selected online.

`fusion`: see `fusion.py`.
"""

from __future__ import annotations

from dataclasses import replace

from sparsesim.errors import InputError
from sparsesim.machines.sat.fusion import Fusion, fuse
from sparsesim.machines.sat.problem import indexed_operand
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.steps import GemmStep, ReductionStep, Step, UpdateStep
from sparsesim.machines.sat.tensor_readers import readers, updated_weight
from sparsesim.trace import NM, Elementwise, Gemm, Operator, Reduction, Trace


def lower(trace: Trace, spec: SatSpec) -> list[Step]:
    """The steps of `trace` on a machine, in a topological order.

    Raises:
        InputError: an operator of a kind, or a pattern, this machine has no hardware for.
    """
    fusion = fuse(trace, spec)
    weights = {
        name for operator in trace.operators if (name := updated_weight(operator, trace, spec))
    }
    read_by = readers(trace.operators)
    steps: list[Step] = []
    for operator in trace.operators:
        if operator.name in fusion.step_of and operator.name not in fusion.streams:
            continue  # part of another step
        if isinstance(operator, Gemm):
            steps += _gemm(operator, trace, spec, weights, fusion)
        elif (weight := updated_weight(operator, trace, spec)) is not None:
            assert isinstance(operator, Elementwise)
            steps.append(_update(operator, read_by.get(weight, []), spec))
        elif isinstance(operator, Elementwise | Reduction):
            steps.append(fusion.stream(operator))
        else:
            raise InputError(
                f"operator {operator.name!r}: kind {operator.kind!r} does not run on machine "
                "family 'sat' (it runs gemm, elementwise, reduction)"
            )
    return [_with_step_names(step, fusion) for step in steps]


def _with_step_names(step: Step, fusion: Fusion) -> Step:
    """`step` with dependencies on steps instead of on the operators that became part of them."""
    deps = dict.fromkeys(fusion.step_of.get(dep, dep) for dep in step.deps)
    return replace(step, deps=tuple(dep for dep in deps if dep != step.name))


def _gemm(
    gemm: Gemm, trace: Trace, spec: SatSpec, weights: set[str], fusion: Fusion
) -> list[GemmStep | ReductionStep]:
    drained = fusion.drained.get(gemm.name, ())
    indexed = indexed_operand(gemm)
    if indexed is None:
        return [GemmStep(gemm, gemm.deps, drained)]
    operand, pattern = indexed
    tensor = trace.tensors[operand.tensor]
    learned = operand.tensor in weights
    if tensor.role == "weight" and (not learned or spec.weight_reduction == "pregenerated"):
        return [GemmStep(gemm, gemm.deps, drained)]
    _sortable(pattern, gemm.name, spec)
    reduction = ReductionStep(
        f"{gemm.name}.select",
        gemm.layer,
        gemm.phase,
        tensor.elements,
        pattern,
        gemm.deps,
        holds_array=learned,
    )
    return [reduction, GemmStep(gemm, (*gemm.deps, reduction.name), drained)]


def _update(operator: Elementwise, users: list[Operator], spec: SatSpec) -> UpdateStep:
    copies: dict[tuple[str, NM], None] = {}
    dense = False
    for user in users:
        if user.name == operator.name:
            continue
        indexed = indexed_operand(user) if isinstance(user, Gemm) else None
        if (
            indexed is None
            or indexed[0].tensor not in operator.outputs
            or spec.weight_reduction == "online"
        ):
            dense = True
            continue
        operand, pattern = indexed
        _sortable(pattern, user.name, spec)
        copies[operand.mask or user.phase, pattern] = None
    return UpdateStep(
        operator,
        operator.deps,
        dense or not copies,
        tuple(pattern for _mask, pattern in copies),
    )


def _sortable(pattern: NM, name: str, spec: SatSpec) -> None:
    if pattern.n > spec.sorter_entries:
        raise InputError(
            f"operator {name!r}: pattern {pattern.n}:{pattern.m} needs N <= sorter_entries = "
            f"{spec.sorter_entries} of this machine"
        )
