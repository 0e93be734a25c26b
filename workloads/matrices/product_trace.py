"""The trace of one product: sparse A times sparse B (SpGEMM) or times a dense matrix (SpMM)."""

from __future__ import annotations

from typing import Any

from sparsesim.errors import InputError
from sparsesim.trace import (
    CSR,
    CsrMatrix,
    Dense,
    Manifest,
    Operand,
    SpGemm,
    Tensor,
    Trace,
)
from sparsesim.trace.matrices import partial_products
from sparsesim.trace.operators import DType

DTYPE: DType = "float64"


def spgemm_trace(
    name: str,
    a: CsrMatrix,
    b: CsrMatrix | None = None,
    *,
    b_name: str = "B",
    provenance: dict[str, Any] | None = None,
) -> Trace:
    """The trace of C = A B with both matrices stored, or of C = A A without `b`.

    Args:
        a: (m, k); the tensor ``A``.
        b: (k, n); the tensor `b_name`.

    Raises:
        InputError: the shapes do not fit.
    """
    right = a if b is None else b
    if right.rows != a.columns:
        raise InputError(
            f"{name}: A is {a.rows} x {a.columns}, B is {right.rows} x {right.columns}; "
            f"A x B needs B to have {a.columns} rows"
            + (" (a rectangular A has A x A^T: --times transpose)" if b is None else "")
        )
    matrices = {"A": a} if b is None else {"A": a, b_name: b}
    product = SpGemm(
        name="product",
        layer="product",
        phase="inference",
        m=a.rows,
        n=right.columns,
        k=a.columns,
        a=sparse_operand("A", a),
        b=sparse_operand("A" if b is None else b_name, right),
        output="C",
    )
    about = {**(provenance or {}), "partial_products": partial_products(a, right)}
    return _trace(name, about, matrices, {}, product)


def spmm_trace(
    name: str, a: CsrMatrix, columns: int, *, provenance: dict[str, Any] | None = None
) -> Trace:
    """The trace of C = A B with sparse A (m, k) and dense B (k, `columns`), B not stored."""
    product = SpGemm(
        name="product",
        layer="product",
        phase="inference",
        m=a.rows,
        n=columns,
        k=a.columns,
        a=sparse_operand("A", a),
        b=Operand(tensor="B", pattern=Dense()),
        output="C",
    )
    about = {**(provenance or {}), "partial_products": a.nnz * columns}
    return _trace(name, about, {"A": a}, {"B": (a.columns, columns)}, product)


def sparse_operand(tensor: str, matrix: CsrMatrix) -> Operand:
    """The operand that reads `matrix`, stored as `tensor`."""
    pattern = CSR(rows=matrix.rows, columns=matrix.columns, nnz=matrix.nnz)
    return Operand(tensor=tensor, pattern=pattern)


def _trace(
    name: str,
    provenance: dict[str, Any],
    matrices: dict[str, CsrMatrix],
    dense: dict[str, tuple[int, int]],
    product: SpGemm,
) -> Trace:
    shapes = {tensor: matrix.shape for tensor, matrix in matrices.items()} | dense
    tensors = [
        Tensor(name=tensor, shape=shape, dtype=DTYPE, role="state")
        for tensor, shape in (shapes | {"C": (product.m, product.n)}).items()
    ]
    manifest = Manifest(
        name=name,
        provenance=provenance,
        tensors=tuple(tensors),
        matrices=tuple(matrix.record(tensor) for tensor, matrix in matrices.items()),
        operators=(product,),
    )
    return Trace(manifest, {}, matrices)
