"""A trace in numbers: shapes, and sparsity as measured in the masks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sparsesim.trace import masks as mask_bits
from sparsesim.trace.masks import Mask
from sparsesim.trace.matrices import partial_products
from sparsesim.trace.operators import Gemm, Operand, Operator, SpGemm
from sparsesim.trace.patterns import Dense
from sparsesim.trace.trace import Trace


def summarize(trace: Trace) -> dict[str, Any]:
    """Totals of a trace and a row per operator.

    Returns:
        `sha256`; `kinds` and `phases` (operators of each); `tensor_bytes` (as if dense);
        `mask_bits` and `mask_bits_kept`; `matrix_nonzeros` (of stored matrices); `macs_dense`;
        `macs_nonzero` (dense MACs times the densities of both operands: exact where one of them
        is dense, else the expected number; partial products, exactly, of stored matrices);
        `operators`: name, layer, phase, kind, shape, dependencies, and for products the pattern
        and density (0 to 1) of each operand, `measured` in its mask or stated by its pattern.
        Generated masks are not drawn: what their descriptor keeps is stated.
    """
    kept = {mask.id: _kept(trace, mask) for mask in trace.manifest.masks}
    sizes = {mask.id: mask.rows * mask.columns for mask in trace.manifest.masks}
    measured = {mask_id: kept[mask_id] / sizes[mask_id] for mask_id in kept}
    rows = [_row(trace, operator, measured) for operator in trace.operators]
    return {
        "sha256": trace.sha256(),
        "kinds": _tally(row["kind"] for row in rows),
        "phases": _tally(row["phase"] for row in rows),
        "tensor_bytes": sum(tensor.bytes for tensor in trace.manifest.tensors),
        "mask_bits": sum(sizes.values()),
        "mask_bits_kept": sum(kept.values()),
        "matrix_nonzeros": sum(matrix.nnz for matrix in trace.manifest.matrices),
        "macs_dense": sum(row.get("macs_dense", 0) for row in rows),
        "macs_nonzero": sum(row.get("macs_nonzero", 0) for row in rows),
        "operators": rows,
    }


def _kept(trace: Trace, mask: Mask) -> int:
    """Ones of a mask: counted, or what the pattern of its generator keeps (on average, if random).

    A trace of a large network may describe gigabits of masks that it does not hold.
    """
    if mask.generator is None:
        return mask_bits.kept(trace.bits[mask.id])
    return round(mask.rows * mask.columns * mask.generator.pattern.density)


def _tally(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


def _row(trace: Trace, operator: Operator, measured: dict[str, float]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": operator.name,
        "layer": operator.layer,
        "phase": operator.phase,
        "kind": operator.kind,
        "deps": len(operator.deps),
    }
    if not isinstance(operator, Gemm | SpGemm):
        return {**row, "function": operator.function, "shape": {"elements": operator.elements}}
    groups = operator.groups if isinstance(operator, Gemm) else 1
    a, b = (_operand(trace, operand, measured) for operand in (operator.a, operator.b))
    dense = groups * operator.m * operator.n * operator.k
    nonzero = round(dense * a["density"] * b["density"])
    if isinstance(operator, SpGemm) and operator.a.tensor in trace.matrices:
        left, right = trace.matrix(operator.a.tensor), trace.matrices.get(operator.b.tensor)
        if right is not None:
            nonzero = partial_products(left, right)
        elif isinstance(operator.b.pattern, Dense):
            nonzero = left.nnz * operator.n
    return {
        **row,
        "shape": {"m": operator.m, "n": operator.n, "k": operator.k, "groups": groups},
        "operands": {"a": a, "b": b},
        "macs_dense": dense,
        "macs_nonzero": nonzero,
    }


def _operand(trace: Trace, operand: Operand, measured: dict[str, float]) -> dict[str, Any]:
    density = measured[operand.mask] if operand.mask is not None else operand.pattern.density
    return {
        "tensor": operand.tensor,
        "pattern": str(operand.pattern),
        "density": density,
        "measured": operand.mask in trace.bits or operand.tensor in trace.matrices,
    }
