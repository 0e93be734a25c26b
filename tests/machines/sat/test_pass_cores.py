"""Does the fast pass equal the stepped pass, and do the stepped values equal NumPy?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.machines.sat.fast import pass_outcome
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.passes import OS, WS, pass_shape
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.stepped import run_pass
from tests.machines.sat.random_problems import problems, specs


@st.composite
def passes(draw: st.DrawFn) -> tuple[SatSpec, Problem, int, Region]:
    spec, problem = draw(specs()), draw(problems())
    dataflow = draw(st.sampled_from([WS, OS]))
    shape = pass_shape(spec, problem, dataflow)
    tile_k = shape.tile_k if dataflow == WS else problem.k
    tile_m = shape.tile_m if dataflow == OS else problem.m
    k = tile_k * draw(st.integers(0, (problem.k - 1) // tile_k))
    m = tile_m * draw(st.integers(0, (problem.m - 1) // tile_m))
    if dataflow == WS:
        m = draw(st.integers(0, problem.m - 1))
    return (
        spec,
        problem,
        dataflow,
        Region(m, min(m + tile_m, problem.m), k, min(k + tile_k, problem.k)),
    )


@given(passes(), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_fast_pass_equals_stepped_pass_and_numpy(
    case: tuple[SatSpec, Problem, int, Region], seed: int
) -> None:
    spec, problem, dataflow, region = case
    shape = pass_shape(spec, problem, dataflow)
    rng = np.random.default_rng(seed)
    m_rows = region.m_last - region.m_first
    k_length = region.k_last - region.k_first
    groups = spec.rows if dataflow == WS else -(-k_length // shape.group)
    padded_rows = m_rows if dataflow == WS else shape.tile_m
    a = np.zeros((padded_rows, groups * shape.group), np.float32)
    a[:m_rows, :k_length] = rng.standard_normal((m_rows, k_length)).astype(np.float16)
    order = rng.random((groups, shape.group, spec.cols)).argsort(axis=1)
    indices = np.sort(order[:, : shape.kept], axis=1).astype(np.int32)
    weights = rng.standard_normal(indices.shape).astype(np.float16).astype(np.float32)

    outcome, sums = run_pass(
        shape,
        problem.image,
        region,
        a,
        weights.reshape(-1, spec.cols),
        indices.reshape(-1, spec.cols),
    )
    np.testing.assert_array_equal(outcome, pass_outcome(shape, problem.image, region))

    expected = np.zeros((m_rows, spec.cols), np.float32)
    for group in range(groups):
        for slot in range(shape.kept):
            selected = a[:m_rows][:, group * shape.group + indices[group, slot]]
            expected = expected + selected * weights[group, slot]
    np.testing.assert_array_equal(sums, expected)


@pytest.mark.parametrize("dataflow", [WS, OS])
def test_bank_conflicts_can_be_provoked(dataflow: int) -> None:
    """The equality above would be empty if no case froze the array."""
    from sparsesim.machines.sat.im2col import matrix
    from sparsesim.machines.sat.passes import BANK_CONFLICT
    from tests.machines.sat.random_problems import DEFAULTS

    spec = SatSpec(
        rows=4, cols=2, m_max=16, n_max=8, mul_latency=1, add_latency=2, interleave=2,
        act_banks=2, act_bank_bytes=2, **DEFAULTS,
    )  # fmt: skip
    problem = Problem(8, 2, 64, 1, matrix(8, 64), False, 1, 8, 3)
    outcome = pass_outcome(pass_shape(spec, problem, dataflow), problem.image, Region(0, 8, 0, 32))
    assert outcome[BANK_CONFLICT] > 0
