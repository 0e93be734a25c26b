"""One product on one kernel: build, run, and read C back."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparsesim.errors import CheckError
from sparsesim.machines.piuma import state
from sparsesim.machines.piuma.kernels.pointwise import Pointwise
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.kernels.windows import CONTROL
from sparsesim.machines.piuma.launch import Launch, execute, prepare
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.trace import CsrMatrix

if TYPE_CHECKING:
    import scipy.sparse

#: Kernels whose B is dense.
DENSE_KERNELS = ("spmm", "spmv")
#: Independent samples that a sampled run is split into, for the error bar.
SAMPLES = 4


def kernel_name(work: Product | Pointwise, spec: PiumaSpec) -> str:
    """The kernel that does `work`: the one `spec` names, if A is sparse."""
    if isinstance(work, Pointwise):
        return "pointwise"
    return "gemm" if work.dense_a else spec.kernel


def run_product(work: Product | Pointwise, spec: PiumaSpec, fidelity: str = "fast") -> Launch:
    """Simulate `work` on its kernel; the `kernel` of the launch's parameters says which.

    Raises:
        InputError: the launch needs more memory than is allowed.
        CheckError: the kernel faulted.
    """
    name = kernel_name(work, spec)
    kernel = importlib.import_module(f"sparsesim.machines.piuma.kernels.{name}")
    launch = prepare(kernel.build(work, spec), spec.model_copy(update={"kernel": name}))
    execute(launch, fidelity)
    return launch


def sparse_result(launch: Launch, product: Product) -> scipy.sparse.csr_array:
    """C as the kernel left it in memory, (m, n), sorted.

    Raises:
        CheckError: an element stands twice or outside the matrix.
    """
    from scipy.sparse import coo_array

    count = int(launch.image.words[launch.image.spad + CONTROL["C_CURSOR"]])
    keys = launch.image.integers_of("C_KEY")[:count]
    values = launch.image.floats_of("C_VAL")[:count]
    if keys.size != count:
        raise CheckError(f"C has {count} elements, there is room for {keys.size}")
    if count and not 0 <= keys.min() <= keys.max() < product.rows * product.columns:
        raise CheckError("C has an element outside the matrix")
    order = np.argsort(keys, kind="stable")
    if (np.diff(keys[order]) == 0).any():
        raise CheckError("C has an element twice")
    where = np.divmod(keys[order], product.columns)
    return coo_array((values[order], where), shape=(product.rows, product.columns)).tocsr()


def dense_result(launch: Launch, product: Product) -> npt.NDArray[np.float64]:
    """(m, n) C of the kernels with dense B."""
    return launch.image.floats_of("C_VAL").reshape(product.rows, product.columns).copy()


@dataclass(frozen=True)
class Sampling:
    """A declared estimate of the whole run from some rows of A.

    Attributes:
        rows: how many were simulated.
        estimate: cycles of the whole product.
        standard_error: of `estimate`, from the scatter of `SAMPLES` independent parts.
    """

    rows: int
    estimate: float
    standard_error: float


def sample_product(product: Product, spec: PiumaSpec, fidelity: str) -> Sampling:
    """Simulate `spec.sample_rows` random rows in `SAMPLES` parts and extrapolate.

    The ratio estimator: cycles per partial product of the parts together, times all partial
    products; its error from the residuals of the parts (Cochran, Sampling Techniques, ch. 6).
    """
    rng = np.random.default_rng(0)
    rows = rng.permutation(product.rows)[: spec.sample_rows]
    cycles, work = [], []
    for part in np.array_split(rows, min(SAMPLES, rows.size)):
        some = replace(product, a=rows_of(product.a, np.sort(part)))
        launch = run_product(some, replace_kernel_sampling(spec), fidelity)
        cycles.append(int(launch.arrays["cnt"][state.N_CYCLES]))
        work.append(kernel_work(some, spec))
    total = kernel_work(product, spec)
    taken, done = np.array(cycles, float), np.array(work, float)
    ratio = taken.sum() / max(done.sum(), 1.0)
    parts = len(taken)
    residual = taken - ratio * done
    spread = float(np.sqrt((residual**2).sum() / max(parts - 1, 1) / parts))
    error = spread / max(done.mean(), 1.0) * total
    return Sampling(int(rows.size), ratio * total, error)


def kernel_work(product: Product, spec: PiumaSpec) -> int:
    """What the cycles of a kernel grow with: rows for inner products, else partial products."""
    if kernel_name(product, spec) == "inner":
        return int((product.a.row_lengths() > 0).sum()) * product.columns
    return product.partial_products


def replace_kernel_sampling(spec: PiumaSpec) -> PiumaSpec:
    """`spec` without sampling."""
    return spec.model_copy(update={"sample_rows": 0})


def rows_of(matrix: CsrMatrix, rows: npt.NDArray[np.int64]) -> CsrMatrix:
    """The matrix of some rows of `matrix`."""
    return replace(CsrMatrix.from_scipy(matrix.to_scipy()[rows]))
