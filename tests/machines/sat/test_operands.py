"""Are the operand values that `--check` multiplies the convolution's, and properly pruned?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.machines.sat import operands as operands_module
from sparsesim.machines.sat.im2col import Image
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.operands import Operands
from sparsesim.machines.sat.passes import OS, WS, pass_shape
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec
from tests.machines.sat.random_problems import problems, specs


def numpy_im2col(image: Image, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The im2col matrix by sliding windows over the padded (batch, h, w, channels) image."""
    padded = np.pad(
        values, ((0, 0), (image.pad_h, image.pad_h), (image.pad_w, image.pad_w), (0, 0))
    )
    reach = (
        (image.kernel_h - 1) * image.dilation_h + 1,
        (image.kernel_w - 1) * image.dilation_w + 1,
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    # (batch, out_h, out_w, channels, kernel_h, kernel_w)
    windows = windows[
        :, :: image.stride_h, :: image.stride_w, :, :: image.dilation_h, :: image.dilation_w
    ]
    assert windows.shape[1:3] == (image.out_height, image.out_width)
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(image.rows, image.columns)


@given(problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_streamed_operand_is_the_im2col_matrix(problem: Problem, seed: int) -> None:
    operands = Operands(problem, None, seed)
    image = problem.image
    values = operands.streamed_values.reshape(
        image.batch, image.height, image.width, image.channels
    )
    expected = numpy_im2col(image, values)
    if problem.transposed:
        expected = expected.T
    np.testing.assert_array_equal(operands.a((0, problem.m), (0, problem.k)), expected)
    half = problem.m // 2, problem.k // 2
    part = operands.a((half[0], problem.m), (half[1], problem.k))
    np.testing.assert_array_equal(part, expected[half[0] :, half[1] :])


@given(specs(), problems(), st.sampled_from([WS, OS]), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_compressed_weights_decompress_to_the_masked_matrix(
    spec: SatSpec, problem: Problem, dataflow: int, real_mask: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mask = None
    if real_mask and problem.sparse:  # N:M keeps at most N: leave some groups emptier
        draws = rng.random((problem.n, problem.k // problem.group, problem.group))
        order = draws.argsort(axis=2).argsort(axis=2)
        mask = (order < rng.integers(0, problem.kept + 1, order.shape[:2])[..., None]).reshape(
            problem.n, problem.k
        )
    operands = Operands(problem, mask, seed)
    shape = pass_shape(spec, problem, dataflow)
    k_last = min(problem.k, shape.tile_k) if dataflow == WS else problem.k
    m_last = min(problem.m, shape.tile_m) if dataflow == OS else problem.m
    column = spec.cols * ((problem.n - 1) // spec.cols)
    _a, weights, indices = operands.tiles(shape, Region(0, m_last, 0, k_last), column)

    entries = len(weights)
    restored = np.zeros((entries // shape.kept * shape.group, spec.cols), np.float32)
    for entry in range(entries):
        first = entry // shape.kept * shape.group
        np.add.at(restored, (first + indices[entry], np.arange(spec.cols)), weights[entry])
    width = problem.n - column
    expected = operands.b((0, k_last), (column, problem.n))
    np.testing.assert_array_equal(restored[:k_last, :width], expected)
    assert not restored[k_last:].any()
    assert not restored[:, width:].any()

    if mask is not None:
        assert not expected[~mask.T[:k_last, column:]].any()
    elif problem.sparse:
        kept = (expected.reshape(-1, problem.group, width) != 0).sum(axis=1)
        assert (kept <= problem.kept).all()
        assert kept.sum() >= 0.9 * kept.size * problem.kept  # but for values that are zero


def test_large_operands_repeat_instead_of_filling_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operands_module, "_MAX_ELEMENTS", 64)
    image = Image(100, 8, 8, 4, 4, 8, 8, 1, 1, 1, 1, 0, 0, 1, 1)
    operands = Operands(Problem(4, 8, 6400, 1, image, True, 2, 4, 2), None, 0)
    assert operands.streamed_values.size == 64
    a, b = operands.a((0, 4), (0, 6400)), operands.b((0, 6400), (0, 8))
    np.testing.assert_array_equal(a[:, :16], a[:, 6384:])
    assert ((b.reshape(-1, 4, 8) != 0).sum(axis=1) <= 2).all()
