"""`--check`: the closed form of an array slice against stepping it, on the slices of a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sparsesim.errors import CheckError
from sparsesim.machines.matrix_unit.spec import MatrixUnitSpec
from sparsesim.machines.matrix_unit.unit import fast_slice, stepped_slice
from sparsesim.trace import Gemm, Trace


def check_operators(
    trace: Trace,
    spec: MatrixUnitSpec,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Step array slices as high as the trace's products, up to 64 rows, on arrays up to 32 x 32.

    Raises:
        CheckError: the closed form differs.
    """
    rng = np.random.default_rng(seed)
    sides = (max(2, spec.array_rows), max(2, spec.array_cols))
    heights = sorted({min(op.m, 64) for op in trace.operators if isinstance(op, Gemm)})
    for number, rows in enumerate(heights):
        depth, cols = (int(rng.integers(1, 1 + min(32, size))) for size in sides)
        load = int(rng.integers(0, 2 * rows + 2))
        stepped, fast = stepped_slice(rows, depth, cols, load), fast_slice(rows, depth, cols, load)
        if stepped != fast:
            raise CheckError(
                f"array of {depth} x {cols}, {rows} rows: stepped {stepped}, closed form {fast}"
            )
        if progress is not None:
            progress(number + 1, len(heights))
    return {"clocks": "closed form equal to stepped array", "slices_checked": len(heights)}
