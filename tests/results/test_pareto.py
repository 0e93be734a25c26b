"""The Pareto front against its definition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparsesim.results.pareto import pareto_front


def by_definition(costs: npt.NDArray[np.float64]) -> list[bool]:
    """Compare every pair of points."""

    def beats(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> bool:
        return bool((first <= second).all() and (first < second).any())

    return [not any(beats(other, point) for other in costs) for point in costs]


def test_hand_made_front() -> None:
    costs = np.array([[1.0, 5.0], [2.0, 3.0], [2.0, 4.0], [4.0, 1.0], [5.0, 1.0]])
    assert pareto_front(costs).tolist() == [True, True, False, True, False]


def test_equal_points_stay_together() -> None:
    assert pareto_front([[1, 1], [1, 1], [2, 1]]).tolist() == [True, True, False]


def test_failed_points_are_never_on_the_front() -> None:
    nan = float("nan")
    assert pareto_front([[nan, 0.0], [1.0, 1.0], [0.0, nan]]).tolist() == [False, True, False]


def test_no_points() -> None:
    assert pareto_front(np.empty((0, 2))).tolist() == []


def test_shape_is_checked() -> None:
    with pytest.raises(ValueError, match="points, objectives"):
        pareto_front([1.0, 2.0])


# A small range of values makes ties and duplicates common.
@given(
    st.tuples(st.integers(0, 25), st.integers(1, 3)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.integers(0, 5).map(float))
    )
)
def test_equals_the_definition(costs: npt.NDArray[np.float64]) -> None:
    assert pareto_front(costs).tolist() == by_definition(costs)
