"""GEMM operators of a trace, spelled shortly for the tests of the machine."""

from __future__ import annotations

from sparsesim.trace import Convolution, Dense, Gemm, Manifest, Operand, Pattern, Tensor, Trace
from sparsesim.trace.operators import Operator, Phase

DENSE = Dense()


def gemm(
    m: int,
    n: int,
    k: int,
    *,
    name: str = "gemm",
    phase: Phase = "FF",
    a: Pattern = DENSE,
    b: Pattern = DENSE,
    groups: int = 1,
    conv: Convolution | None = None,
    transposed: bool = False,
    deps: tuple[str, ...] = (),
    b_mask: str | None = None,
    a_mask: str | None = None,
) -> Gemm:
    """C[m, n] = A[m, k] B[k, n] between the tensors `a`, `b` and `c`."""
    return Gemm(
        name=name,
        layer=name,
        phase=phase,
        deps=deps,
        m=m,
        n=n,
        k=k,
        groups=groups,
        a=Operand(tensor="a", pattern=a, mask=a_mask),
        b=Operand(tensor="b", pattern=b, mask=b_mask),
        output="c",
        conv=conv,
        conv_transposed=transposed,
    )


def convolution(
    batch: int,
    size: int,
    channels: int,
    filters: int,
    kernel: int,
    stride: int = 1,
    *,
    name: str = "conv",
    b: Pattern = DENSE,
    a: Pattern = DENSE,
    groups: int = 1,
    weight_update: bool = False,
) -> Gemm:
    """A square convolution with padding kernel // 2; channels and filters are per group."""
    out = (size + 2 * (kernel // 2) - kernel) // stride + 1
    conv = Convolution(
        batch=batch,
        height=size,
        width=size,
        channels=channels,
        out_height=out,
        out_width=out,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        padding=(kernel // 2, kernel // 2),
    )
    m, k = conv.pixels, conv.columns
    if weight_update:
        m, k = k, m
    return gemm(
        m,
        filters,
        k,
        name=name,
        phase="WU" if weight_update else "FF",
        a=a,
        b=b,
        groups=groups,
        conv=conv,
        transposed=weight_update,
    )


def trace_of(*operators: Operator, elements: int = 64) -> Trace:
    """A trace of operators between the tensors `a`, `b` (weights) and `c`."""
    tensors = (
        Tensor(name="a", shape=(elements,), dtype="float16", role="activation"),
        Tensor(name="b", shape=(elements,), dtype="float16", role="weight"),
        Tensor(name="c", shape=(elements,), dtype="float16", role="activation"),
    )
    return Trace(Manifest(name="test", tensors=tensors, operators=operators))
