"""The compiled top-N kernel against a NumPy reference, and whole-matrix selection."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparsesim.trace.masks import unpack
from workloads.pruning.magnitude import largest_bits, top_n_bits

# Few distinct values, so that ties (and zeros of both signs) are the rule.
TIED = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-40, 3.4e38, -2.0])
VALUES = st.one_of(TIED, st.floats(width=32, allow_nan=False, allow_infinity=False))


def reference(matrix: npt.NDArray[np.float32], n: int, group: int) -> npt.NDArray[np.bool_]:
    """Stable sort of every group by falling magnitude: the first n are kept."""
    rows, columns = matrix.shape
    groups = np.abs(matrix).reshape(rows, columns // group, group)
    order = np.argsort(-groups, axis=2, kind="stable")
    kept = np.zeros(groups.shape, dtype=np.bool_)
    np.put_along_axis(kept, order[:, :, :n], True, axis=2)
    return kept.reshape(rows, columns)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], int, int]:
    group = draw(st.integers(1, 33))
    shape = (draw(st.integers(1, 4)), group * draw(st.integers(1, 4)))
    return draw(arrays(np.float32, shape, elements=VALUES)), draw(st.integers(1, group)), group


@given(grouped())
@settings(deadline=None, max_examples=200)
def test_the_kernel_keeps_the_true_top_n(
    case: tuple[npt.NDArray[np.float32], int, int],
) -> None:
    matrix, n, group = case
    kept = unpack(top_n_bits(matrix, n, group), matrix.shape[1])
    np.testing.assert_array_equal(kept, reference(matrix, n, group))


def test_ties_go_to_the_lower_column_and_the_padding_stays_zero() -> None:
    matrix = np.array([[0.0, -0.0, 0.0, -3.0, 3.0, 3.0]], dtype=np.float32)
    bits = top_n_bits(matrix, 1, 3)
    assert bits.tolist() == [[0b001001]]


def test_a_matrix_that_is_not_contiguous_is_read_by_its_own_order() -> None:
    matrix = np.random.default_rng(0).standard_normal((16, 24)).astype(np.float32)
    kept = unpack(top_n_bits(matrix.T, 2, 8), 16)
    np.testing.assert_array_equal(kept, reference(np.ascontiguousarray(matrix.T), 2, 8))


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=VALUES),
       st.data())  # fmt: skip
@settings(deadline=None)
def test_the_largest_of_a_matrix_are_kept(
    matrix: npt.NDArray[np.float32], data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, matrix.size))
    kept = unpack(largest_bits(matrix, count), matrix.shape[1])
    flat = matrix.reshape(1, -1)
    np.testing.assert_array_equal(kept.reshape(1, -1), reference(flat, count, matrix.size))
