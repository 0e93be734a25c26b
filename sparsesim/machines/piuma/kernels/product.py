"""The product a kernel computes, and the operand regions all kernels share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma.memory_image import Region, region
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.trace import CsrMatrix

Int64Array = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Product:
    """C = A B with A sparse, or with both dense.

    Attributes:
        a: (m, k).
        b: (k, n), sparse, or a dense (k, n) float64 array.
        dense_a: whether A is dense: every element is stored, and no kernel reads the indices.
    """

    a: CsrMatrix
    b: CsrMatrix | Floats
    dense_a: bool = False

    @property
    def rows(self) -> int:
        return self.a.rows

    @property
    def columns(self) -> int:
        return self.b.shape[1]

    @property
    def sparse_b(self) -> CsrMatrix:
        assert isinstance(self.b, CsrMatrix)
        return self.b

    @property
    def dense_b(self) -> Floats:
        assert isinstance(self.b, np.ndarray)
        return self.b

    @cached_property
    def products_of_rows(self) -> Int64Array:
        """(m,) partial products of each row of C."""
        if not isinstance(self.b, CsrMatrix):
            return self.a.row_lengths() * self.columns
        before = np.zeros(self.a.nnz + 1, np.int64)
        np.cumsum(self.b.row_lengths()[self.a.indices], out=before[1:])
        return np.diff(before[self.a.indptr])

    @cached_property
    def partial_products(self) -> int:
        return int(self.products_of_rows.sum())

    @cached_property
    def pattern_nnz(self) -> int:
        """Elements of C that have at least one partial product."""
        return int(self.pattern.nnz)

    @cached_property
    def pattern(self) -> Any:
        """SciPy array with a positive value where C has a partial product; stored zeros count."""
        a, b = self.a.to_scipy().astype(np.float32), self.sparse_b.to_scipy().astype(np.float32)
        a.data[:] = 1
        b.data[:] = 1
        found = (a @ b).tocsr()
        found.sort_indices()
        return found

    @property
    def multiplies(self) -> int:
        return self.partial_products


def operand_a(product: Product, spec: PiumaSpec) -> list[Region]:
    """A in compressed sparse rows: A_PTR, A_IDX, A_VAL."""
    a, cached = product.a, spec.cache_inputs
    return [
        region("A_PTR", a.indptr, "metadata", cached),
        region("A_IDX", a.indices, "metadata", cached),
        region("A_VAL", a.values, "a", cached),
    ]


def operand_b(product: Product, spec: PiumaSpec) -> list[Region]:
    """B in compressed sparse rows: B_PTR, B_IDX, B_VAL."""
    b, cached = product.sparse_b, spec.cache_inputs
    return [
        region("B_PTR", b.indptr, "metadata", cached),
        region("B_IDX", b.indices, "metadata", cached),
        region("B_VAL", b.values, "b", cached),
    ]


def result(product: Product) -> list[Region]:
    """C as (row * n + column, value) pairs: C_KEY, C_VAL."""
    words = product.pattern_nnz
    return [Region("C_KEY", words, "metadata"), Region("C_VAL", words, "output")]
