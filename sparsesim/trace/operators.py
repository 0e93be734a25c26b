"""Operators of a trace: what is computed, with shapes, operands and dependencies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sparsesim.trace.patterns import NM, Balanced, Dense, Pattern
from sparsesim.validation import Record

Phase = Literal["FF", "BP", "WU", "inference"]
"""Forward, back-propagation of the gradient, weight update; or inference alone."""

DType = Literal["float16", "bfloat16", "float32", "int8", "int32", "float64"]
DTYPE_BYTES: dict[str, int] = {
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "int8": 1,
    "int32": 4,
    "float64": 8,
}

Role = Literal["weight", "activation", "gradient", "state"]

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


class Tensor(Record):
    """A named array: `shape` in elements, `dtype`, and the part it plays."""

    name: str = Field(min_length=1)
    shape: tuple[Positive, ...]
    dtype: DType
    role: Role

    @property
    def elements(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def bytes(self) -> int:
        """Size in bytes when stored densely."""
        return self.elements * DTYPE_BYTES[self.dtype]


class Operand(Record):
    """A tensor as one operator reads it: `pattern`, and the mask that proves it, if any."""

    tensor: str
    pattern: Pattern = Dense()
    mask: str | None = None


class Convolution(Record):
    """The convolution a GEMM came from, in framework semantics (floor, NHWC addresses).

    `height`, `width`, `channels` describe the image that the im2col rows are read from:
    the input for FF and WU, the output gradient for BP. `channels` is per group.
    """

    batch: int = Field(ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: int = Field(ge=1)
    out_height: int = Field(ge=1)
    out_width: int = Field(ge=1)
    kernel: tuple[Positive, Positive]
    stride: tuple[Positive, Positive] = (1, 1)
    padding: tuple[NotNegative, NotNegative] = (0, 0)
    dilation: tuple[Positive, Positive] = (1, 1)

    @property
    def pixels(self) -> int:
        """Rows of the im2col matrix: batch x output height x output width."""
        return self.batch * self.out_height * self.out_width

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]

    @property
    def columns(self) -> int:
        """Columns of the im2col matrix: kernel taps x channels, channels fastest."""
        return self.taps * self.channels


class _Operator(Record):
    name: str = Field(min_length=1)
    layer: str
    phase: Phase
    deps: tuple[str, ...] = ()


class Gemm(_Operator):
    """`groups` products C[m, n] = A[m, k] B[k, n].

    A is streamed from an image when `conv` is given: its rows are im2col rows (FF, BP), or,
    with `conv_transposed`, its columns are (WU: A is the transposed im2col matrix).
    """

    kind: Literal["gemm"] = "gemm"
    m: int = Field(ge=1)
    n: int = Field(ge=1)
    k: int = Field(ge=1)
    groups: int = Field(default=1, ge=1)
    a: Operand
    b: Operand
    output: str
    conv: Convolution | None = None
    conv_transposed: bool = False

    @property
    def macs_dense(self) -> int:
        return self.groups * self.m * self.n * self.k

    @property
    def group_axis(self) -> int:
        """Length along which N:M groups of a k-axis pattern may run: channels of one tap."""
        if self.conv is not None and not self.conv_transposed:
            return self.conv.channels
        return self.k

    @model_validator(mode="after")
    def _geometry_fits(self) -> Gemm:
        if self.conv is not None:
            rows, columns = (self.k, self.m) if self.conv_transposed else (self.m, self.k)
            if (self.conv.pixels, self.conv.columns) != (rows, columns):
                raise ValueError(
                    f"convolution gives an im2col matrix of {self.conv.pixels} x "
                    f"{self.conv.columns}, the GEMM has {rows} x {columns}"
                )
        for side, operand, extents in (
            ("a", self.a, {"m": self.m, "k": self.group_axis}),
            ("b", self.b, {"k": self.group_axis, "n": self.n}),
        ):
            pattern = operand.pattern
            if not isinstance(pattern, NM | Balanced):
                continue
            if pattern.axis not in extents:
                raise ValueError(
                    f"operand {side} has no axis {pattern.axis!r}; allowed: {', '.join(extents)}"
                )
            group = pattern.m if isinstance(pattern, NM) else pattern.group
            if extents[pattern.axis] % group:
                raise ValueError(
                    f"groups of M={group} do not divide the {extents[pattern.axis]} elements "
                    f"of axis {pattern.axis!r} of operand {side}"
                )
        return self


class SpGemm(_Operator):
    """C[m, n] = A[m, k] B[k, n] with sparse A and data-dependent work; B sparse, or dense: SpMM.

    Sparse operands are matrices stored in the trace, by the name of their tensor. Tensor B is
    k x n (a `Gemm` reads its B transposed), and nothing else is: no groups, no convolution.
    """

    kind: Literal["spgemm"] = "spgemm"
    m: int = Field(ge=1)
    n: int = Field(ge=1)
    k: int = Field(ge=1)
    a: Operand
    b: Operand
    output: str


class Elementwise(_Operator):
    """`function` applied to `elements` positions: activation, normalisation, optimizer update."""

    kind: Literal["elementwise"] = "elementwise"
    function: str = Field(min_length=1)
    elements: int = Field(ge=1)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Reduction(_Operator):
    """`function` that folds `elements` input positions into fewer: pooling, softmax, loss."""

    kind: Literal["reduction"] = "reduction"
    function: str = Field(min_length=1)
    elements: int = Field(ge=1)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


Operator = Annotated[Gemm | SpGemm | Elementwise | Reduction, Field(discriminator="kind")]
