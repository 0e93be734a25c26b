"""PIUMA: the fast core on the thesis-like R-MAT, against SciPy's product and the stepped core."""

from __future__ import annotations

import time

from benchmarks.measure import best_seconds, peak_memory_mib
from sparsesim.machines.piuma import state
from sparsesim.machines.piuma.kernels import smash_v3, smash_v4
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import execute, prepare
from sparsesim.machines.piuma.simulation import rows_of
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.machines.registry import load_machine
from workloads.matrices.generators import generate

KERNELS = {"smash_v3": smash_v3, "smash_v4": smash_v4}


def core_seconds(
    product: Product, spec: PiumaSpec, fidelity: str = "fast", repeats: int = 3
) -> tuple[float, int, float]:
    """(smallest CPU seconds of the core alone, instructions, instructions per clock)."""
    import gc

    seconds = []
    for _ in range(repeats):
        launch = prepare(KERNELS[spec.kernel].build(product, spec), spec)
        gc.collect()
        start = time.process_time()
        execute(launch, fidelity)
        seconds.append(time.process_time() - start)
    counted = launch.arrays["cnt"]
    issued = int(counted[state.N_ISSUED])
    return min(seconds), issued, issued / int(counted[state.N_CYCLES])


def spec_of(kernel: str, **overrides: object) -> PiumaSpec:
    spec = load_machine("piuma", {"kernel": kernel, **overrides}).spec
    assert isinstance(spec, PiumaSpec)
    return spec


def run() -> dict[str, float]:
    """Measure; keys name the figure and its unit."""
    import numpy as np

    matrix = generate("rmat:thesis")
    product = Product(matrix, matrix)
    assert product.pattern_nnz > 0
    figures: dict[str, float] = {}
    small = Product(rows_of(matrix, np.arange(64)), matrix)
    core_seconds(small, spec_of("smash_v4"), repeats=1)
    before = peak_memory_mib()
    scipy = matrix.to_scipy()
    reference = best_seconds(lambda: scipy @ scipy)
    for kernel in KERNELS:
        seconds, issued, ipc = core_seconds(product, spec_of(kernel))
        figures |= {
            f"PIUMA {kernel}: M partial products/s (target 4)": product.partial_products
            / seconds
            / 1e6,
            f"PIUMA {kernel}: M instructions/s (target 30)": issued / seconds / 1e6,
            f"PIUMA {kernel}: instructions per clock": ipc,
            f"PIUMA {kernel}: time / SciPy A @ A (target 40)": seconds / reference,
        }
    words = 2 * matrix.nnz + product.pattern_nnz
    figures["PIUMA: peak memory over nnz(A) + nnz(B) + nnz(C), bytes"] = (
        (peak_memory_mib() - before) * 2**20 / words
    )
    some = Product(rows_of(matrix, np.arange(0, 16384, 64)), matrix)
    for label, overrides in (
        ("64 threads", {"kernel": "smash_v4"}),
        ("1 thread", {"kernel": "smash_v4", "pipelines": 1, "threads": 1}),
    ):
        spec = spec_of(**overrides)
        fast, _, ipc = core_seconds(some, spec)
        stepped, _, _ = core_seconds(some, spec, "stepped", 1)
        figures[f"PIUMA fast / stepped, {label}, IPC {ipc:.2f} (targets 1.7 and 12)"] = (
            stepped / fast
        )
    per_instruction = {}
    for cores in (1, 2, 4, 8):
        seconds, issued, _ = core_seconds(product, spec_of("smash_v4", cores=cores), repeats=2)
        per_instruction[cores] = 1e9 * seconds / issued
        figures[f"PIUMA smash_v4 on {cores} cores: ns per instruction"] = per_instruction[cores]
    figures["PIUMA: ns per instruction, 8 cores / 1 core (target 2)"] = (
        per_instruction[8] / per_instruction[1]
    )
    return figures


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:70s} {value:12.4g}", flush=True)
