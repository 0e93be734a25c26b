"""Who reads a tensor, and which operators are optimizer steps."""

from __future__ import annotations

from collections.abc import Sequence

from sparsesim.machines.sat.spec import SatSpec
from sparsesim.trace import Elementwise, Operator, Reduction, Trace


def read_tensors(operator: Operator) -> tuple[str, ...]:
    """Tensors that an operator reads."""
    if isinstance(operator, Elementwise | Reduction):
        return operator.inputs
    return operator.a.tensor, operator.b.tensor


def readers(operators: Sequence[Operator]) -> dict[str, list[Operator]]:
    """Operators that read each tensor, in trace order."""
    found: dict[str, list[Operator]] = {}
    for operator in operators:
        for tensor in dict.fromkeys(read_tensors(operator)):
            found.setdefault(tensor, []).append(operator)
    return found


def is_update(operator: Operator, spec: SatSpec) -> bool:
    """Whether `operator` is an optimizer step, which the update engine runs."""
    return isinstance(operator, Elementwise) and operator.function in spec.update_functions


def updated_weight(operator: Operator, trace: Trace, spec: SatSpec) -> str | None:
    """The weight that an optimizer step renews, else None."""
    if not is_update(operator, spec):
        return None
    assert isinstance(operator, Elementwise)
    weights = [name for name in operator.outputs if trace.tensors[name].role == "weight"]
    return weights[0] if weights else None
