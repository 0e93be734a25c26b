"""Problem files of Timeloop and Sparseloop (version 0.4): one product each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense, Gemm, Operand, SpGemm, Trace
from sparsesim.trace.summary import summarize

VERSION = 0.4


def problems(trace: Trace, on_message: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """The problem of every product of a trace, by name of the operator.

    Convolutions keep their seven loops (as Timeloop's ``cnn_layer``: R and P run along the width);
    a weight update and all else is a matrix product (``gemm_ABZ``). Groups are one loop more.
    Operands that are not dense have a density: ``fixed_structured`` where every group keeps
    equally many (N:M, balanced), else ``hypergeometric``, measured where a mask or a matrix is
    stored.

    Raises:
        InputError: no product in the trace.
    """
    measured = {row["name"]: row for row in summarize(trace)["operators"]}
    found = {}
    for operator in trace.operators:
        if not isinstance(operator, Gemm | SpGemm):
            continue
        is_conv = (
            isinstance(operator, Gemm)
            and operator.conv is not None
            and not operator.conv_transposed
        )
        problem = _convolution(operator) if is_conv else _matrix_product(operator)
        names = ("Inputs", "Weights") if is_conv else ("A", "B")
        densities = {}
        for name, side, operand in zip(names, "ab", (operator.a, operator.b), strict=True):
            density = measured[operator.name]["operands"][side]["density"]
            if not isinstance(operand.pattern, Dense) or density < 1:
                densities[name] = {"density": density, "distribution": _distribution(operand)}
        if densities:
            problem["instance"]["densities"] = densities
        found[operator.name] = {"problem": {"version": VERSION, **problem}}
    if not found:
        raise InputError(f"{trace.name}: holds no product")
    left_out = len(trace.operators) - len(found)
    if left_out:
        on_message(f"left out: {left_out} operators that are no products")
    return found


def _distribution(operand: Operand) -> str:
    structured = isinstance(operand.pattern, NM | Balanced)
    return "fixed_structured" if structured else "hypergeometric"


def _matrix_product(operator: Gemm | SpGemm) -> dict[str, Any]:
    groups = operator.groups if isinstance(operator, Gemm) else 1
    sizes = {"M": operator.m, "N": operator.n, "K": operator.k}
    spaces = {"A": "MK", "B": "NK", "Z": "MN"}
    return _problem("gemm_ABZ", groups, sizes, {}, {
        name: [[[loop]] for loop in loops] for name, loops in spaces.items()
    })  # fmt: skip


def _convolution(operator: Any) -> dict[str, Any]:
    conv = operator.conv
    sizes = {
        "R": conv.kernel[1], "S": conv.kernel[0], "P": conv.out_width, "Q": conv.out_height,
        "C": conv.channels, "K": operator.n, "N": conv.batch,
    }  # fmt: skip
    coefficients = {
        "Wstride": conv.stride[1], "Hstride": conv.stride[0],
        "Wdilation": conv.dilation[1], "Hdilation": conv.dilation[0],
    }  # fmt: skip
    spaces: dict[str, list[Any]] = {
        "Weights": [[["C"]], [["K"]], [["R"]], [["S"]]],
        "Inputs": [
            [["N"]],
            [["C"]],
            [["R", "Wdilation"], ["P", "Wstride"]],
            [["S", "Hdilation"], ["Q", "Hstride"]],
        ],
        "Outputs": [[["N"]], [["K"]], [["Q"]], [["P"]]],
    }
    return _problem("CNN_Layer", operator.groups, sizes, coefficients, spaces)


def _problem(
    name: str,
    groups: int,
    sizes: dict[str, int],
    coefficients: dict[str, int],
    spaces: dict[str, list[Any]],
) -> dict[str, Any]:
    if groups > 1:
        sizes = {"G": groups, **sizes}
        spaces = {space: [[["G"]], *projection] for space, projection in spaces.items()}
        name = f"grouped_{name}"
    shape: dict[str, Any] = {"name": name, "dimensions": list(sizes)}
    if coefficients:
        shape["coefficients"] = [{"name": key, "default": 1} for key in coefficients]
    shape["data_spaces"] = [
        {"name": space, "projection": projection} for space, projection in spaces.items()
    ]
    shape["data_spaces"][-1]["read_write"] = True
    return {"shape": shape, "instance": {**sizes, **coefficients}}
