"""Small sparse matrices, drawn at random: empty rows, dense rows, explicit zeros, one element."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from sparsesim.trace import CsrMatrix


@st.composite
def csr_matrices(draw: st.DrawFn, rows: int | None = None, columns: int | None = None) -> CsrMatrix:
    rows = rows or draw(st.integers(1, 9))
    columns = columns or draw(st.integers(1, 9))
    some = st.lists(st.integers(0, columns - 1), unique=True, max_size=columns)
    row = some | st.just([]) | st.just(list(range(columns)))
    found = [sorted(draw(row)) for _ in range(rows)]
    indptr = np.cumsum([0, *map(len, found)], dtype=np.int64)
    indices = np.array([column for row in found for column in row], dtype=np.int32)
    value = st.sampled_from([0.0, 1.0, -1.0]) | st.floats(-8, 8, width=16)
    values = draw(st.lists(value, min_size=indices.size, max_size=indices.size))
    return CsrMatrix(rows, columns, indptr, indices, np.array(values, dtype=np.float64))
