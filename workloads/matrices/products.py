"""The size of a product, counted without simulating it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsesim.trace import CsrMatrix
from sparsesim.trace.matrices import partial_products


@dataclass(frozen=True)
class ProductSize:
    """Of C = A B, with stored zeros counted as nonzeros.

    Attributes:
        partial_products: multiplications.
        nnz: elements of C that some partial product falls on, cancelled or not.
        longest_row: elements of the fullest row of C.
    """

    partial_products: int
    nnz: int
    longest_row: int

    @property
    def compression(self) -> float:
        """Partial products per element of C; 0 for an empty C."""
        return self.partial_products / self.nnz if self.nnz else 0.0


def product_size(a: CsrMatrix, b: CsrMatrix) -> ProductSize:
    """Count C = A B by multiplying the patterns with SciPy: memory in proportion to nnz(C)."""
    from scipy.sparse import csr_array

    # Booleans add up to true: SciPy drops what adds up to zero.
    left, right = (
        csr_array((np.ones(matrix.nnz, np.bool_), matrix.indices, matrix.indptr), matrix.shape)
        for matrix in (a, b)
    )
    c = left @ right
    return ProductSize(partial_products(a, b), int(c.nnz), int(np.diff(c.indptr).max()))
