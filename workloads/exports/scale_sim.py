"""SCALE-Sim topology files (v2, v3): one product per line, as GEMM or as convolution.

Each line ends in a comma, which the readers of SCALE-Sim drop with what follows it. The column
``Sparsity`` (v3) is N:M of the filters; v2 does not know it, so it is written only where needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense, Gemm, SpGemm, Trace

GEMM_HEADER = ("Layer", "M", "N", "K")
CONV_HEADER = (
    "Layer name",
    "IFMAP Height",
    "IFMAP Width",
    "Filter Height",
    "Filter Width",
    "Channels",
    "Num Filter",
    "Strides",
)


@dataclass(frozen=True)
class _Line:
    name: str
    sizes: tuple[int, ...]
    sparsity: str | None


def gemm_topology(trace: Trace, on_message: Callable[[str], None]) -> str:
    """The products of a trace as M, N, K (run SCALE-Sim with ``-i gemm``).

    A grouped product is one line per group. Sparse matrices are written as dense products of their
    size; other patterns than N:M along K as dense; both is said, as is what is left out.

    Raises:
        InputError: no product in the trace.
    """
    lines = []
    for operator in _products(trace, on_message):
        groups = operator.groups if isinstance(operator, Gemm) else 1
        sparsity = _sparsity(operator, on_message)
        sizes = (operator.m, operator.n, operator.k)
        lines += [_Line(name, sizes, sparsity) for name in _names(operator, groups)]
    return _csv(GEMM_HEADER, lines)


def conv_topology(trace: Trace, on_message: Callable[[str], None]) -> str:
    """The products of a trace as convolutions; matrix products become 1 x K filters.

    The image is written with its padding, and without rows and columns that no filter reaches
    (SCALE-Sim rounds the output size up).

    Raises:
        InputError: a convolution that SCALE-Sim cannot say (several images, dilation, different
            strides, weight update), or no product in the trace.
    """
    lines = []
    for operator in _products(trace, on_message):
        groups = operator.groups if isinstance(operator, Gemm) else 1
        sparsity = _sparsity(operator, on_message)
        if isinstance(operator, Gemm) and operator.conv is not None:
            sizes = _convolution(trace, operator)
        else:
            sizes = (operator.m, operator.k, 1, operator.k, 1, operator.n, 1)
        lines += [_Line(name, sizes, sparsity) for name in _names(operator, groups)]
    return _csv(CONV_HEADER, lines)


def _convolution(trace: Trace, operator: Gemm) -> tuple[int, ...]:
    conv = operator.conv
    assert conv is not None
    reason = None
    if operator.conv_transposed:
        reason = "is a weight update"
    elif conv.batch != 1:
        reason = f"has a batch of {conv.batch} images (extract with --batch 1)"
    elif conv.dilation != (1, 1):
        reason = f"has dilation {conv.dilation[0]} x {conv.dilation[1]}"
    elif conv.stride[0] != conv.stride[1]:
        reason = f"has strides {conv.stride[0]} and {conv.stride[1]}"
    if reason is not None:
        raise InputError(
            f"{trace.name}: convolution {operator.name!r} {reason}, which a SCALE-Sim convolution "
            "cannot say; scalesim-gemm can"
        )
    height, width = (
        (outputs - 1) * stride + kernel
        for outputs, stride, kernel in zip(
            (conv.out_height, conv.out_width), conv.stride, conv.kernel, strict=True
        )
    )
    return (height, width, *conv.kernel, conv.channels, operator.n, conv.stride[0])


def _products(trace: Trace, on_message: Callable[[str], None]) -> list[Gemm | SpGemm]:
    products = [op for op in trace.operators if isinstance(op, Gemm | SpGemm)]
    if not products:
        raise InputError(f"{trace.name}: holds no product")
    left_out = len(trace.operators) - len(products)
    if left_out:
        on_message(f"left out: {left_out} operators that are no products")
    return products


def _names(operator: Gemm | SpGemm, groups: int) -> list[str]:
    # A comma or a line break would end the name; DP in it means depth-wise to SCALE-Sim.
    name = "".join(letter if letter.isprintable() else "_" for letter in operator.name)
    name = name.replace(",", ";").replace("DP", "dp")
    return [name] if groups == 1 else [f"{name}/{group}" for group in range(groups)]


def _sparsity(operator: Gemm | SpGemm, on_message: Callable[[str], None]) -> str | None:
    """N:M of the right operand; SCALE-Sim needs N <= M / 2."""
    found = None
    for side, operand in (("a", operator.a), ("b", operator.b)):
        pattern = operand.pattern
        if isinstance(pattern, Dense):
            continue
        if side == "b" and isinstance(pattern, NM | Balanced) and pattern.axis == "k":
            kept, group = (
                (pattern.n, pattern.m) if isinstance(pattern, NM) else (pattern.kept, pattern.group)
            )
            if 2 * kept <= group:
                found = f"{kept}:{group}"
                continue
        on_message(f"{operator.name}: pattern {pattern} of operand {side} is written as dense")
    return found


def _csv(header: tuple[str, ...], lines: list[_Line]) -> str:
    sparse = any(line.sparsity for line in lines)
    rows: list[tuple[object, ...]] = [(*header, "Sparsity") if sparse else header]
    for line in lines:
        row = (line.name, *line.sizes)
        rows.append((*row, line.sparsity or "1:1") if sparse else row)
    return "".join(",".join(str(cell) for cell in row) + ",\n" for row in rows)
