"""Fast core == stepped core in every counter and every word, and C == SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsesim.machines.piuma import state
from sparsesim.machines.piuma.check import COMPARED, check_result
from sparsesim.machines.piuma.counters import chip_cycles, pipeline_cycles, total_cycles
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import Launch
from sparsesim.machines.piuma.simulation import run_product
from sparsesim.machines.piuma.spec import PiumaSpec
from tests.machines.piuma.small_products import SPARSE_KERNELS, machine, machines, products

#: Per-thread numbers that the cores must agree on (the others are how each of them keeps time).
THREAD_FIELDS = (
    state.T_DMA_PENDING,
    state.T_DMA_LAST,
    state.T_BARRIER_CYCLES,
    state.T_ISSUED,
    state.T_END,
)


def both_cores(product: Product, spec: PiumaSpec) -> Launch:
    """Run on both cores, compare everything, return the fast run."""
    fast, stepped = (run_product(product, spec, fidelity) for fidelity in ("fast", "stepped"))
    for name in COMPARED:
        assert np.array_equal(fast.arrays[name], stepped.arrays[name]), name
    threads = [run.arrays["thr"].reshape(-1, state.THREAD) for run in (fast, stepped)]
    for field in THREAD_FIELDS:
        assert np.array_equal(threads[0][:, field], threads[1][:, field]), field
    return fast


def check_accounting(launch: Launch) -> None:
    """Busy + stalls = cycles on the chip and every pipeline; the parts issue what the whole did."""
    cycles = total_cycles(launch)
    pipelines = pipeline_cycles(launch)
    for part in (chip_cycles(launch), *pipelines):
        assert part.busy + sum(part.stalls.values()) == cycles, part.name
        assert min(part.busy, *part.stalls.values()) >= 0, part.name
    issued = int(launch.arrays["cnt"][state.N_ISSUED])
    assert sum(part.busy for part in pipelines) == issued
    assert launch.arrays["thr"].reshape(-1, state.THREAD)[:, state.T_ISSUED].sum() == issued


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(products(), machines(), st.sampled_from(SPARSE_KERNELS))
def test_fast_equals_stepped_and_scipy(
    product: Product, overrides: dict[str, Any], kernel: str
) -> None:
    launch = both_cores(product, machine(kernel, **overrides))
    check_accounting(launch)
    check_result("c", launch, product)
    if kernel != "inner":
        assert launch.arrays["cnt"][state.N_MULTIPLIES] == product.partial_products


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(products(60), machines(), st.sampled_from(SPARSE_KERNELS))
def test_many_more_products_and_machines(
    product: Product, overrides: dict[str, Any], kernel: str
) -> None:
    launch = both_cores(product, machine(kernel, **overrides))
    check_accounting(launch)
    check_result("c", launch, product)
