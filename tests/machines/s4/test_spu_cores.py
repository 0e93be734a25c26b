"""Does the fast SPU equal the stepped one, and do the stepped values equal NumPy?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.machines.registry import load_machine
from sparsesim.machines.s4.fast import run_outcome
from sparsesim.machines.s4.requantise import requantise, to_bf16
from sparsesim.machines.s4.spu import (
    CLOCKS,
    INPUT_ACTIVATIONS,
    INPUT_WEIGHTS,
    OUTPUT,
    RESULTS,
    Run,
    SpuShape,
    spu_shape,
)
from sparsesim.machines.s4.stepped import run_spu
from tests.machines.s4.random_runs import Case, cases


def operands(case: Case, floating: bool) -> tuple[npt.NDArray[np.generic], ...]:
    shape, run, seed = case
    rng = np.random.default_rng(seed)
    size = run.rows_used.size * shape.rows, run.steps.shape[1] * shape.group
    stream = int(run.steps.sum()), shape.cols
    if floating:
        acts, values = (to_bf16(rng.standard_normal(s).astype(np.float32)) for s in (size, stream))
    else:
        acts, values = (rng.integers(-128, 128, s).astype(np.int32) for s in (size, stream))
    return acts, values, rng.integers(-1, shape.group, stream).astype(np.int16)


def expected(case: Case, acts: npt.NDArray[np.generic], values: npt.NDArray[np.generic],
             indices: npt.NDArray[np.int16]) -> npt.NDArray[np.generic]:  # fmt: skip
    """Sums in order of issue, one rounding per step, of live rows and filters; 0 elsewhere."""
    shape, run, _ = case
    total = np.zeros((acts.shape[0], run.cols_used.size * shape.cols), acts.dtype)
    at = 0
    for tile, groups in enumerate(run.steps):
        columns = slice(tile * shape.cols, (tile + 1) * shape.cols)
        for group, count in enumerate(groups):
            for _ in range(count):
                places = group * shape.group + np.maximum(indices[at], 0)
                weight = np.where(indices[at] >= 0, values[at], 0).astype(acts.dtype)
                total[:, columns] = total[:, columns] + acts[:, places] * weight
                at += 1
        total[:, tile * shape.cols + run.cols_used[tile] : (tile + 1) * shape.cols] = 0
    for tile, used in enumerate(run.rows_used):
        total[tile * shape.rows + used : (tile + 1) * shape.rows] = 0
    return total


@pytest.mark.parametrize("floating", [False, True])
@given(case=cases())
@settings(max_examples=150, deadline=None)
def test_fast_equals_stepped_and_values_equal_numpy(floating: bool, case: Case) -> None:
    acts, values, indices = operands(case, floating)
    outcome, sums = run_spu(case.shape, case.run, acts, values, indices, np.zeros(1, acts.dtype))
    np.testing.assert_array_equal(outcome, run_outcome(case.shape, case.run))
    np.testing.assert_array_equal(sums, expected(case, acts, values, indices))
    assert outcome[RESULTS] == case.run.rows_used.sum() * case.run.cols_used.sum()


def uniform(shape: SpuShape, tiles: int, groups: int, steps: int) -> Run:
    return Run(
        np.full(tiles, shape.rows, np.int64), 1, tiles,
        np.array([shape.cols], np.int64), np.full((1, groups), steps, np.int64),
        np.full((1, groups), steps * shape.cols, np.int64),
    )  # fmt: skip


BASE = SpuShape(4, 8, 8, 4, 8, 1, 4, 1, 8, 2)


@pytest.mark.parametrize(
    ("change", "cause", "per_tile"),
    [
        ({"act_rows": 2}, INPUT_ACTIVATIONS, 4),  # a group takes 2 clocks to come, 1 to use
        ({"weight_clocks": 3}, INPUT_WEIGHTS, 8),  # a step takes 3 clocks to come
        ({"drain_width": 4}, OUTPUT, 4),  # a tile takes 8 clocks to leave, 4 to compute
    ],
)
def test_each_limit_alone_gives_its_rate(change: dict[str, int], cause: int, per_tile: int) -> None:
    shape = BASE._replace(**change)
    few, many = (run_outcome(shape, uniform(shape, tiles, 4, 1)) for tiles in (100, 1100))
    grown = many - few
    assert grown[cause] == 1000 * per_tile
    assert grown[CLOCKS].sum() == 1000 * (4 + per_tile)


def test_without_limits_every_clock_of_a_long_run_is_busy() -> None:
    few, many = (run_outcome(BASE, uniform(BASE, tiles, 4, 2)) for tiles in (10, 20))
    assert (many - few)[CLOCKS].tolist() == [80, 0, 0, 0, 0, 0]


def test_requantise() -> None:
    def one(value: int, bias: int = 0, multiplier: int = 1, shift: int = 1, relu: bool = False):  # type: ignore[no-untyped-def]
        arrays = [np.array([x], np.int32) for x in (value, bias, multiplier, shift)]
        return int(requantise(arrays[0].reshape(1, 1), *arrays[1:], relu)[0, 0])

    assert [one(v) for v in (3, 1, -1, -3, 2, -2)] == [2, 1, 0, -1, 1, -1]  # halves up
    assert one(1000) == 127
    assert one(-1000) == -128
    assert one(-1000, relu=True) == 0
    assert one(2**31 - 1, 0, 65535, 47) == 1
    assert one(10, bias=-4) == 3


@given(st.integers(1, 40), st.integers(1, 24), st.sampled_from([1, 2, 3, 4]))
@settings(max_examples=60, deadline=None)
def test_the_activation_port_reaches_its_rate(port_rows: int, rows: int, kept: int) -> None:
    """A group takes the clocks of its steps, or rows / port: a wider port is never slower."""
    changes = {"rows": rows, "act_port_bytes": 32 * port_rows, "drain_results": 32}
    shape = spu_shape(load_machine("s4", changes).spec, dense=False)

    def clocks(tiles: int) -> int:
        return int(run_outcome(shape, uniform(shape, tiles, 36, kept))[CLOCKS].sum())

    expected = 20 * 36 * max(kept, rows / shape.act_rows)
    assert clocks(60) - clocks(40) == pytest.approx(expected, abs=2)


@given(cases())
@settings(max_examples=30, deadline=None)
def test_to_bf16_is_the_nearest(case: Case) -> None:
    import torch

    values = np.random.default_rng(case.seed).standard_normal(200).astype(np.float32) * 1e3
    nearest = torch.from_numpy(values).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(to_bf16(values), nearest)
