"""Products that are easy to get wrong, on every kernel."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.errors import CheckError
from sparsesim.machines.piuma.check import check_result
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.kernels.windows import CONTROL
from sparsesim.machines.piuma.launch import execute, prepare
from sparsesim.machines.piuma.simulation import dense_result, run_product, sparse_result
from sparsesim.trace import CsrMatrix
from tests.machines.piuma.small_products import SPARSE_KERNELS, machine, matrix

SMASH = ("smash_v1", "smash_v2", "smash_v3", "smash_v4")


def csr(values: list[list[float]]) -> CsrMatrix:
    return CsrMatrix.from_scipy(sp.csr_array(np.array(values, float)))


def stored_zeros(rows: int, columns: int) -> CsrMatrix:
    """Every element stored, all of them zero."""
    full = csr([[1.0] * columns] * rows)
    return CsrMatrix(rows, columns, full.indptr, full.indices, np.zeros(full.nnz))


CASES = {
    "1x1": (csr([[3.0]]), csr([[-2.0]])),
    "1x1 empty": (csr([[0.0]]), csr([[0.0]])),
    "empty A": (matrix(5, 4, 0.0, 1), matrix(4, 6, 0.5, 2)),
    "stored zeros": (stored_zeros(3, 3), stored_zeros(3, 4)),
    "cancellation": (csr([[1.0, 1.0]]), csr([[5.0, 1.0], [-5.0, 1.0]])),
    "row times column": (matrix(1, 40, 1.0, 3), matrix(40, 1, 1.0, 4)),
    "column times row": (matrix(40, 1, 1.0, 3), matrix(1, 40, 1.0, 4)),
    "one column of B": (matrix(9, 9, 0.4, 5), matrix(9, 1, 0.6, 6)),
    "dense": (matrix(17, 19, 1.0, 7), matrix(19, 23, 1.0, 8)),
}


@pytest.mark.parametrize("kernel", SPARSE_KERNELS)
@pytest.mark.parametrize("case", list(CASES))
def test_edge_cases(kernel: str, case: str) -> None:
    product = Product(*CASES[case])
    launch = run_product(product, machine(kernel))
    check_result("c", launch, product)
    assert sparse_result(launch, product).nnz == product.pattern_nnz


@pytest.mark.parametrize("kernel", SMASH)
@pytest.mark.parametrize("cores", [1, 2])
def test_rows_too_heavy_for_the_table_are_split(kernel: str, cores: int) -> None:
    """Rows of up to 1,500 elements through a table of 64 slots, beside empty and light ones."""
    heavy = sp.lil_array((6, 40))
    heavy[1, :] = 1.0
    heavy[3, 5] = 2.0
    heavy[4, ::2] = -1.0
    product = Product(CsrMatrix.from_scipy(heavy.tocsr()), matrix(40, 1500, 0.3, 9))
    assert product.products_of_rows.max() > 10_000
    launch = run_product(product, machine(kernel, window_slots=64, cores=cores))
    check_result("c", launch, product)
    windows = int(launch.image.words[launch.image.spad + CONTROL["WINDOWS"]])
    assert windows >= 2 * 1500 // 64


@pytest.mark.parametrize("fidelity", ["fast", "stepped"])
@pytest.mark.parametrize("kernel", SMASH)
def test_a_table_that_fills_ends_the_run(kernel: str, fidelity: str) -> None:
    """Kernels sabotaged so that a table has fewer slots than a row has elements.

    As built, tables are at most half full; the same product is right then.
    """
    product = Product(csr([[1.0] * 12] * 3), matrix(12, 40, 0.9, 3))
    spec = machine(kernel)
    built = importlib.import_module(f"sparsesim.machines.piuma.kernels.{kernel}").build(
        product, spec
    )
    if kernel == "smash_v4":  # 16 slots for 120 elements
        wrong = replace(built, constants={**built.constants, "SLOTS": 16, "HASH_SHIFT": 60})
    else:  # regions of half the bound
        text = built.text.replace(
            "    shl   bound, high, bound",
            "    sub   bound, bound, 3\n    shl   bound, high, bound",
        )
        assert text != built.text
        wrong = replace(built, text=text)
    with pytest.raises(CheckError, match=r"a hash table is full: .*'probe"):
        execute(prepare(wrong, spec), fidelity)
    launch = prepare(built, spec)
    execute(launch, fidelity)
    check_result("c", launch, product)


@pytest.mark.parametrize("kernel", SMASH)
def test_columns_that_collide_in_every_bit_but_one(kernel: str) -> None:
    """All columns are multiples of 256: low-order bits send them to one slot."""
    b = sp.lil_array((30, 256 * 40))
    for row in range(30):
        b[row, 256 * row] = 1.0
        b[row, 256 * (row + 9)] = 2.0
    product = Product(csr([[1.0] * 30] * 3), CsrMatrix.from_scipy(b.tocsr()))
    check_result("c", run_product(product, machine(kernel, spad_bytes=65536)), product)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 11), st.integers(0, 99), st.booleans()
)
def test_dense_b(rows: int, inner: int, columns: int, seed: int, two_cores: bool) -> None:
    b = np.random.default_rng(seed).standard_normal((inner, columns))
    product = Product(matrix(rows, inner, 0.4, seed), b)
    for kernel in ("spmm", "spmv") if columns == 1 else ("spmm",):
        launch = run_product(product, machine(kernel, cores=1 + two_cores))
        check_result("c", launch, product)


def test_a_wrong_value_or_element_is_found() -> None:
    product = Product(matrix(9, 9, 0.4, 5), matrix(9, 9, 0.6, 6))
    launch = run_product(product, machine("smash_v3"))
    check_result("c", launch, product)
    values = launch.image.floats_of("C_VAL")
    values[3] += 1e-9
    with pytest.raises(CheckError, match="differs from SciPy"):
        check_result("c", launch, product)
    values[3] -= 1e-9
    keys = launch.image.integers_of("C_KEY")
    keys[0] = keys[1]
    with pytest.raises(CheckError, match="twice"):
        check_result("c", launch, product)
    dense = Product(product.a, np.ones((9, 2)))
    launch = run_product(dense, machine("spmm"))
    dense_result(launch, dense)
    launch.image.floats_of("C_VAL")[0] += 1.0
    with pytest.raises(CheckError, match="differs"):
        check_result("c", launch, dense)
