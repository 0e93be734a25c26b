"""Transposable masks are the best ones there are: against a linear program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from workloads.pruning.transposable import transposable_mask


def largest_sum(magnitudes: np.ndarray, n: int) -> float:
    """Largest sum with `n` of every row and column (the program has whole solutions)."""
    m = len(magnitudes)
    rows = np.kron(np.eye(m), np.ones(m))
    columns = np.kron(np.ones(m), np.eye(m))
    found = linprog(
        -magnitudes.ravel(), A_eq=np.vstack([rows, columns]), b_eq=[n] * (2 * m), bounds=(0, 1)
    )
    return -found.fun


@pytest.mark.parametrize(
    ("n", "m"), [(1, 2), (2, 4), (3, 4), (4, 4), (1, 8), (2, 8), (4, 8), (5, 16)]
)
def test_every_block_has_the_largest_possible_sum(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    weights = rng.standard_normal((2, 2 * m, 3, m)).astype(np.float32)
    kept = transposable_mask(weights, n, m)
    for group in range(2):
        for top in (0, m):
            for tap in range(3):
                block = kept[group, top : top + m, tap]
                assert (block.sum(axis=0) == n).all()
                assert (block.sum(axis=1) == n).all()
                magnitudes = np.abs(weights[group, top : top + m, tap]).astype(np.float64)
                assert magnitudes[block].sum() == pytest.approx(largest_sum(magnitudes, n))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0e38, 1e-45])
def test_equal_weights_still_give_a_whole_mask_and_the_same_every_time(value: float) -> None:
    weights = np.full((1, 8, 1, 16), value, dtype=np.float32)
    kept = transposable_mask(weights, 2, 8)
    assert (kept.reshape(8, 2, 8).sum(axis=2) == 2).all()
    assert (kept.reshape(8, 16).sum(axis=0) == 2).all()
    np.testing.assert_array_equal(kept, transposable_mask(-weights, 2, 8))
