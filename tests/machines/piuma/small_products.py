"""Small machines and matrices, random and adversarial, for the tests of the PIUMA machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.machines.registry import load_machine
from sparsesim.trace import CsrMatrix

SPARSE_KERNELS = (
    "inner",
    "outer",
    "rowwise",
    "smash_v1",
    "smash_v2",
    "smash_v3",
    "smash_v4",
)


def machine(kernel: str, **overrides: Any) -> PiumaSpec:
    """The shipped machine with a small scratchpad and few threads, and what is overridden."""
    small = {"spad_bytes": 16384, "pipelines": 2, "threads": 4, "cache_bytes": 1024}
    spec = load_machine("piuma", {"kernel": kernel, **small, **overrides}).spec
    assert isinstance(spec, PiumaSpec)
    return spec


def matrix(rows: int, columns: int, density: float, seed: int) -> CsrMatrix:
    """A random matrix with values from -2 to 2, among them stored zeros and exact opposites."""
    rng = np.random.default_rng(seed)
    drawn = sp.random_array((rows, columns), density=density, format="csr", rng=rng)
    drawn.data = rng.integers(-2, 3, drawn.nnz).astype(float)
    return CsrMatrix.from_scipy(drawn)


@st.composite
def products(draw: st.DrawFn, most: int = 24) -> Product:
    """Products with empty and dense rows, of any shape down to 1 x 1."""
    m, k, n = (draw(st.integers(1, most)) for _ in range(3))
    seed = draw(st.integers(0, 2**20))
    density_a, density_b = (draw(st.sampled_from([0.0, 0.05, 0.2, 0.6, 1.0])) for _ in range(2))
    a = matrix(m, k, density_a, seed).to_scipy().tolil()
    if draw(st.booleans()):  # one row of A is full
        a[draw(st.integers(0, m - 1)), :] = 1.0
    return Product(CsrMatrix.from_scipy(a.tocsr()), matrix(k, n, density_b, seed + 1))


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """Overrides that reach every branch: banks that conflict, tables that need many windows."""

    def one_of(*values: Any) -> Any:
        return draw(st.sampled_from(values))

    return {
        "cores": one_of(1, 1, 2, 3, 4),
        "pipelines": one_of(1, 2, 3, 4),
        "threads": one_of(1, 2, 4, 16),
        "single_pipelines": one_of(1, 2),
        "issue_cycles": one_of(1, 3, 8),
        "single_issue_cycles": one_of(1, 2),
        "cache_bytes": one_of(256, 1024, 16384),
        "cache_line_bytes": one_of(8, 64),
        "cache_ways": one_of(1, 2, 4),
        "cache_cycles": one_of(1, 4),
        "cache_inputs": one_of(True, True, False),
        "spad_bytes": one_of(8192, 32768),
        "window_slots": one_of(0, 0, 64, 256),
        "spad_banks": one_of(1, 4, 32),
        "spad_cycles": one_of(3, 16),
        "atomic_cycles": one_of(1, 4, 9),
        "dram_channels": one_of(1, 4, 16),
        "dram_banks": one_of(1, 8),
        "dram_row_bytes": one_of(64, 1024),
        "dram_burst": one_of(1, 4),
        "dram_trefi": one_of(0, 700, 3900),
        "dram_path_cycles": one_of(2, 60, 900),
        "interleave_bytes": one_of(128, 4096),
        "dma_queue": one_of(1, 2, 32),
        "dma_beat_bytes": one_of(8, 64),
        "dma_beat_cycles": one_of(1, 2, 5),
        "dma_outstanding": one_of(1, 3, 32),
        "queue_cycles": one_of(1, 7),
        "barrier_cycles": one_of(1, 20),
        "topology": one_of("mesh", "torus", "hyperx"),
        "hop_cycles": one_of(1, 5),
        "network_cycles": one_of(1, 10, 200),
        "link_cycles": one_of(1, 3),
        "chunk": one_of(1, 3, 8),
    }
