"""`--check`: the C that a kernel leaves in memory, against SciPy; small runs also clock by clock.

The pattern of C is exact: an element is stored where there is a partial product, even if the sum is
zero (numerical cancellation) or a factor is a stored zero. Values are sums in another order than
SciPy's, so they are compared with a bound on the rounding: the number of products of an element is
at most the row's, and |sum| errors grow with sum |a b|.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sparsesim.errors import CheckError
from sparsesim.machines.piuma import state
from sparsesim.machines.piuma.kernels.pointwise import Pointwise
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import Launch
from sparsesim.machines.piuma.model import operator_work
from sparsesim.machines.piuma.simulation import (
    dense_result,
    replace_kernel_sampling,
    rows_of,
    run_product,
    sparse_result,
)
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.trace import CsrMatrix, Trace

#: Runs of at most this many clocks are repeated on the stepped core.
STEPPED_CYCLES = 500_000
#: State that the two cores must agree on.
COMPARED = ("cnt", "pipe", "samples", "marks", "dram", "cache", "spad", "queues", "mem", "reg")


def check_operators(
    trace: Trace,
    spec: PiumaSpec,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Check C of every operator of `trace`; returns what was compared, by operator.

    Raises:
        CheckError: pattern or values differ from SciPy's, or the two cores differ.
    """
    compared: dict[str, Any] = {}
    for number, operator in enumerate(trace.operators):
        work = operator_work(trace, operator, spec, seed)
        if isinstance(work, Product) and 0 < spec.sample_rows < work.rows:
            rows = np.random.default_rng(0).permutation(work.rows)[: spec.sample_rows]
            work = replace(work, a=rows_of(work.a, np.sort(rows)))
        launch = run_product(work, replace_kernel_sampling(spec))
        entry = check_result(operator.name, launch, work)
        cycles = int(launch.arrays["cnt"][state.N_CYCLES])
        entry["stepped_equal_to_fast"] = cycles <= STEPPED_CYCLES
        if entry["stepped_equal_to_fast"]:
            stepped = run_product(work, replace_kernel_sampling(spec), "stepped")
            for name in COMPARED:
                if not np.array_equal(launch.arrays[name], stepped.arrays[name]):
                    raise CheckError(
                        f"operator {operator.name!r}: {name} of stepped and fast core differ"
                    )
        compared[operator.name] = entry
        if progress is not None:
            progress(number + 1, len(trace.operators))
    return {
        "values": "C equal to SciPy: pattern exact, values within rounding",
        "clocks": "stepped equal to fast where the run is short",
        "passes_checked": len(compared),
        "passes": len(trace.operators),
        "operators": compared,
    }


def check_result(name: str, launch: Launch, product: Product | Pointwise) -> dict[str, Any]:
    """Compare C of a finished launch with SciPy (NumPy for a pointwise step, exactly).

    Raises:
        CheckError: they differ.
    """
    if isinstance(product, Pointwise):
        if not np.array_equal(launch.image.floats_of("C_VAL"), product.expected):
            raise CheckError(f"operator {name!r}: an element differs from NumPy's")
        return {"elements": product.elements}
    a = product.a.to_scipy()
    magnitude_a = CsrMatrix(*product.a.shape, product.a.indptr, product.a.indices, abs(a.data))
    if not isinstance(product.b, CsrMatrix):
        found = dense_result(launch, product)
        bound = _rounding(product) * (magnitude_a.to_scipy() @ abs(product.dense_b))
        if not (abs(found - a @ product.dense_b) <= bound).all():
            raise CheckError(f"operator {name!r}: C differs from SciPy's")
        return {"elements": int(found.size)}
    found = sparse_result(launch, product)
    b = product.sparse_b.to_scipy()
    pattern = product.pattern
    if not np.array_equal(found.indptr, pattern.indptr) or not np.array_equal(
        found.indices, pattern.indices
    ):
        raise CheckError(
            f"operator {name!r}: C has {found.nnz} elements in another pattern than SciPy's "
            f"{pattern.nnz}"
        )
    magnitude = (magnitude_a.to_scipy() @ abs(b)).tocsr()
    error = abs(found - (a @ b))
    allowed = _rounding(product) * magnitude
    excess = (error - allowed).tocsr()
    if excess.nnz and excess.data.max() > 0:
        raise CheckError(
            f"operator {name!r}: a value of C differs from SciPy's by more than rounding"
        )
    return {"elements": int(found.nnz), "partial_products": product.partial_products}


def _rounding(product: Product) -> float:
    """Relative to sum |a b|: two sums of n products in any order differ by less than 2 n eps."""
    longest = int(product.a.row_lengths().max(initial=1))
    return 2.0 * (longest + 1) * float(np.finfo(np.float64).eps)
