"""A forward pass as GEMMs and pointwise steps on named storages: what the phases derive from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sparsesim.trace import Convolution
from sparsesim.trace.operators import DType, Role

WeightArray = npt.NDArray[np.float32]
"""Weights as (groups, outputs of a group, kernel taps, inputs of a group)."""


@dataclass(frozen=True)
class Storage:
    """An array that an operator writes, a parameter, or an input.

    Attributes:
        needs_gradient: a trained parameter is at or above it.
        below_parameter: any parameter is above it, so it is not the model's own input.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    role: Role
    needs_gradient: bool = False
    below_parameter: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class View:
    """A storage as one operator reads it; views move no data.

    Attributes:
        selection: what part was selected (slices, chunks, gathered rows); empty for the whole.
        detached: no gradient flows through this view.
    """

    storage: Storage
    shape: tuple[int, ...]
    selection: tuple[str, ...] = ()
    detached: bool = False

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def tensor(self) -> str:
        """Its name in the trace: the storage's, or one of its own for a selected part."""
        return self.storage.name + "".join(f"[{part}]" for part in self.selection)

    @property
    def needs_gradient(self) -> bool:
        return self.storage.needs_gradient and not self.detached


@dataclass(frozen=True)
class Weight:
    """The B operand of a GEMM that comes from parameters alone.

    Attributes:
        parameter: name of the tensor in the trace.
        inputs, outputs: channels of one group.
        first: the GEMM reads the model's own input.
        values: evaluates the weights (through pruning wrappers and views).
    """

    parameter: str
    layer: str
    groups: int
    outputs: int
    taps: int
    inputs: int
    first: bool
    values: Callable[[], WeightArray]


@dataclass(frozen=True)
class ForwardGemm:
    """`groups` products C[m, n] = A[m, k] B[k, n], with a bias that the array adds for free."""

    name: str
    layer: str
    m: int
    n: int
    k: int
    groups: int
    a: View
    b: View
    output: Storage
    weight: Weight | None = None
    conv: Convolution | None = None
    bias: View | None = None

    @property
    def inputs(self) -> tuple[View, ...]:
        return (self.a, self.b) if self.bias is None else (self.a, self.b, self.bias)

    @property
    def outputs(self) -> tuple[Storage, ...]:
        return (self.output,)


@dataclass(frozen=True)
class BackwardRule:
    """The operator that turns the gradient of a step's outputs into those of its inputs.

    `saved` names which forward tensors it reads besides the gradient.
    """

    kind: Literal["elementwise", "reduction"]
    function: str
    elements: int
    saved: frozenset[Literal["inputs", "outputs", "extra"]]


Backward = BackwardRule | Literal["pass"] | None

PASS_THROUGH: Literal["pass"] = "pass"
"""The gradient of the output is the gradient of each input (addition, concatenation)."""


@dataclass(frozen=True)
class ForwardPointwise:
    """An element-wise step or a reduction.

    Attributes:
        extra: tensors kept for the backward pass only (argmax, statistics, dropout mask).
        backward: a rule, `PASS_THROUGH`, or None where no gradient flows.
    """

    name: str
    layer: str
    kind: Literal["elementwise", "reduction"]
    function: str
    elements: int
    inputs: tuple[View, ...]
    outputs: tuple[Storage, ...]
    extra: tuple[Storage, ...] = ()
    backward: Backward = None


ForwardStep = ForwardGemm | ForwardPointwise


@dataclass(frozen=True)
class ForwardGraph:
    """Steps in execution order, the parameters in definition order, and the model's outputs."""

    parameters: tuple[Storage, ...]
    steps: tuple[ForwardStep, ...]
    outputs: tuple[View, ...]

    @property
    def weights(self) -> tuple[Weight, ...]:
        """Weight operands in order of use; a shared parameter comes once per use."""
        return tuple(
            step.weight
            for step in self.steps
            if isinstance(step, ForwardGemm) and step.weight is not None
        )


def layer_of_parameter(parameter: str) -> str:
    """Layer of a parameter: `fc.weight` -> `fc`, `mha.in_proj_weight` -> `mha.in_proj`.

    Pruning and parametrisation wrappers are seen through (`fc.weight_orig`,
    `fc.parametrizations.weight.original`); other parameters are their own layer (`bn1.bias`).
    """
    name = parameter.removesuffix("_orig")
    owner, wrapped, rest = name.partition(".parametrizations.")
    if wrapped and rest.startswith("weight.original"):
        return owner
    for suffix in (".weight", "_weight"):
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix)
    return parameter
