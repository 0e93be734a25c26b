"""Does a whole GEMM take the same clocks, stalls and bytes in both cores?"""

from __future__ import annotations

from math import ceil

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.machines.sat.blocks import block_steps
from sparsesim.machines.sat.gemm import block_passes, simulate_gemm
from sparsesim.machines.sat.passes import pass_shape
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.schedule import choose_schedule
from sparsesim.machines.sat.spec import SatSpec
from tests.machines.sat.random_problems import problems, specs


@given(specs(), problems(), st.sampled_from(["auto", "ws", "os"]))
@settings(max_examples=150, deadline=None)
def test_fast_gemm_equals_stepped_gemm(spec: SatSpec, problem: Problem, dataflow: str) -> None:
    spec = spec.model_copy(update={"dataflow": dataflow})
    try:
        schedule = choose_schedule(problem, spec, "random")
    except InputError:
        assume(False)
    fast = simulate_gemm(problem, schedule, spec, "fast")
    assert fast == simulate_gemm(problem, schedule, spec, "stepped")
    assert fast.total_cycles == fast.busy_cycles + sum(fast.stall_cycles.values())
    assert problem.macs_effective <= spec.pes * fast.total_cycles


@given(specs(), problems())
@settings(max_examples=150, deadline=None)
def test_passes_cover_every_result_and_product_once(spec: SatSpec, problem: Problem) -> None:
    try:
        schedule = choose_schedule(problem, spec, "random")
    except InputError:
        assume(False)
    shape = pass_shape(spec, problem, schedule.dataflow)
    steps = block_steps(problem, schedule)
    done = np.zeros((problem.m, problem.k, problem.n), np.int64)
    for m, k, n in zip(steps.m, steps.k, steps.n, strict=True):
        columns = slice(*steps.n_spans[n])
        for region in block_passes(shape, steps.m_spans[m], steps.k_spans[k]):
            done[region.m_first : region.m_last, region.k_first : region.k_last, columns] += 1
    assert (done == problem.groups).all()
    # Every result is stored once, when its reduction is complete.
    assert steps.store_bytes.sum() == 2 * problem.m * problem.n * problem.groups


@given(specs(), problems())
@settings(max_examples=100, deadline=None)
def test_each_operand_is_fetched_at_least_once(spec: SatSpec, problem: Problem) -> None:
    try:
        schedule = choose_schedule(problem, spec, "random")
    except InputError:
        assume(False)
    steps = block_steps(problem, schedule)
    weights = 2 * ceil(problem.k / problem.group) * problem.kept * problem.n * problem.groups
    assert steps.b_bytes.sum() >= weights
    half = spec.act_buffer_bytes // 2, spec.weight_buffer_bytes // 2, spec.out_buffer_bytes // 2
    assert steps.a_bytes.max() <= half[0]
    assert (steps.b_bytes + steps.metadata_bytes).max() <= half[1]
