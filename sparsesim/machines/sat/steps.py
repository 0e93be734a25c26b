"""What the engines run: the operators of a trace as this machine groups and completes them.

A trace says what is computed. The machine adds what it must do besides (select the N:M values of an
operand) and runs neighbouring element-wise operators as one (`lowering.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sparsesim.trace import NM, Elementwise, Gemm, Reduction
from sparsesim.trace.operators import Phase

Vector = Elementwise | Reduction


@dataclass(frozen=True)
class GemmStep:
    """A GEMM, and the functions applied to its results as they leave the array."""

    gemm: Gemm
    deps: tuple[str, ...]
    drained: tuple[str, ...] = ()
    kind: Literal["gemm"] = "gemm"

    @property
    def name(self) -> str:
        return self.gemm.name

    @property
    def layer(self) -> str:
        return self.gemm.layer

    @property
    def phase(self) -> Phase:
        return self.gemm.phase


@dataclass(frozen=True)
class VectorStep:
    """Element-wise operators that run as one stream, in order.

    Attributes:
        runs: how often each part is run: once, and once more for each extra sweep of it or of a
            part after it, which needs its results again.
        read: tensors that come from the DRAM, and how often.
        written: tensors that go there.
    """

    parts: tuple[Vector, ...]
    deps: tuple[str, ...]
    runs: tuple[int, ...]
    read: tuple[tuple[str, int], ...]
    written: tuple[str, ...]

    @property
    def name(self) -> str:
        return "+".join(part.name for part in self.parts)

    @property
    def layer(self) -> str:
        return self.parts[0].layer

    @property
    def phase(self) -> Phase:
        return self.parts[0].phase

    @property
    def kind(self) -> str:
        return self.parts[0].kind


@dataclass(frozen=True)
class UpdateStep:
    """An optimizer step of one tensor, and the FP16 copies of the new weights that it writes.

    Attributes:
        dense_copy: whether somebody reads the weights uncompressed.
        reductions: N:M copies selected on the way to the DRAM (pre-generation).
    """

    operator: Elementwise
    deps: tuple[str, ...]
    dense_copy: bool
    reductions: tuple[NM, ...] = ()
    kind: Literal["elementwise"] = "elementwise"

    @property
    def name(self) -> str:
        return self.operator.name

    @property
    def layer(self) -> str:
        return self.operator.layer

    @property
    def phase(self) -> Phase:
        return self.operator.phase


@dataclass(frozen=True)
class ReductionStep:
    """A tensor read densely, its N:M values selected and written compactly, for one GEMM.

    `holds_array`: the array waits for it, as a weight that is selected when its GEMM begins makes
    it do; a gradient is selected while the array may do something else.
    """

    name: str
    layer: str
    phase: Phase
    elements: int
    pattern: NM
    deps: tuple[str, ...] = ()
    holds_array: bool = False
    kind: Literal["nm_reduction"] = "nm_reduction"


Step = GemmStep | VectorStep | UpdateStep | ReductionStep
