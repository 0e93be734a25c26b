"""Operand tiles of a pass: real values for checks, zeros where only time is asked for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.im2col import Image, source_pixel
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.passes import WS, PassShape
from sparsesim.machines.sat.problem import Problem

Float = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int32]

_MAX_ELEMENTS = 2**24


def _extents(shape: PassShape, region: Region) -> tuple[int, int, int]:
    """Rows and columns of the tile of A, and groups of the reduction, that a pass takes."""
    rows = region.m_last - region.m_first
    if shape.dataflow == WS:
        return rows, shape.tile_k, shape.rows
    groups = -(-(region.k_last - region.k_first) // shape.group)
    return shape.tile_m, groups * shape.group, groups


def zero_operands(shape: PassShape, region: Region) -> tuple[Float, Float, Indices]:
    """Tiles of zeros: the clocks of a pass do not depend on values."""
    rows, columns, groups = _extents(shape, region)
    entries = groups * shape.kept
    return (
        np.zeros((rows, columns), np.float32),
        np.zeros((entries, shape.cols), np.float32),
        np.zeros((entries, shape.cols), np.int32),
    )


class Operands:
    """Random FP16 operands of one group of a problem; B keeps the real mask where there is one.

    Values repeat after `_MAX_ELEMENTS`, so that a large batch does not have to be held.

    Args:
        problem: what is multiplied.
        kept_mask: (n, k) booleans of the indexed operand, or None to draw N:M groups.
        seed: of the values.
    """

    def __init__(self, problem: Problem, kept_mask: npt.NDArray[np.bool_] | None, seed: int):
        self.problem = problem
        image = problem.image
        rng = np.random.default_rng(seed)
        pixels = min(image.batch * image.height * image.width, _at_most(image.channels))
        self.streamed_values = _half(rng, (pixels, image.channels))
        groups = min(problem.k // problem.group, _at_most(problem.n * problem.group))
        self._values = _half(rng, (groups * problem.group, problem.n))
        if kept_mask is not None:
            self._mask = kept_mask.T
        elif problem.group == 1:
            self._mask = np.ones((1, problem.n), np.bool_)
        else:
            draws = rng.random((groups, problem.group, problem.n))
            order = draws.argsort(axis=1).argsort(axis=1)
            self._mask = (order < problem.kept).reshape(-1, problem.n)

    def b(self, k: tuple[int, int], n: tuple[int, int]) -> Float:
        """Reduction k and columns n of the indexed operand, (length, columns), pruned to zero."""
        rows = np.arange(*k)
        values = self._values[rows % len(self._values), slice(*n)]
        return np.where(self._kept(k, n), values, np.float32(0.0))

    def _kept(self, k: tuple[int, int], n: tuple[int, int]) -> npt.NDArray[np.bool_]:
        kept: npt.NDArray[np.bool_] = self._mask[np.arange(*k) % len(self._mask), slice(*n)]
        return kept

    def a(self, m: tuple[int, int], k: tuple[int, int]) -> Float:
        """Rows m and reduction k of the streamed operand, (rows, length)."""
        if self.problem.transposed:
            return _im2col(self.problem.image, self.streamed_values, *k, *m).T
        return _im2col(self.problem.image, self.streamed_values, *m, *k)

    def tiles(self, shape: PassShape, region: Region, column: int) -> tuple[Float, Float, Indices]:
        """What `stepped.run_pass` takes for `region` and the tile of columns from `column`."""
        a_tile, weights, indices = zero_operands(shape, region)
        m = region.m_first, region.m_last
        k = region.k_first, region.k_last
        a_tile[: m[1] - m[0], : k[1] - k[0]] = self.a(m, k)
        columns = column, min(column + shape.cols, self.problem.n)
        _compress(
            np.ascontiguousarray(self.b(k, columns)),
            np.ascontiguousarray(self._kept(k, columns)),
            shape.kept,
            shape.group,
            weights,
            indices,
        )
        return a_tile, weights, indices


def _at_most(row: int) -> int:
    """Rows of `row` elements that are held of an operand."""
    return max(1, _MAX_ELEMENTS // row)


def _half(rng: np.random.Generator, shape: tuple[int, ...]) -> Float:
    """Values that FP16 represents exactly."""
    return rng.standard_normal(shape, dtype=np.float32).astype(np.float16).astype(np.float32)


@njit(cache=True)
def _im2col(
    image: Image,
    values: npt.NDArray[np.float32],
    row_first: int,
    row_last: int,
    column_first: int,
    column_last: int,
) -> npt.NDArray[np.float32]:
    tile = np.zeros((row_last - row_first, column_last - column_first), np.float32)
    for row in range(row_first, row_last):
        for column in range(column_first, column_last):
            pixel = source_pixel(image, row, column // image.channels)
            if pixel >= 0:
                tile[row - row_first, column - column_first] = values[
                    pixel % values.shape[0], column % image.channels
                ]
    return tile


@njit(cache=True)
def _compress(
    values: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_],
    kept: int,
    group: int,
    weights: npt.NDArray[np.float32],
    indices: npt.NDArray[np.int32],
) -> None:
    """Fill (entries, cols) with the kept values of each group in order, and their positions."""
    length, cols = values.shape
    for c in range(cols):
        for first in range(0, length, group):
            slot = 0
            for position in range(min(group, length - first)):
                if mask[first + position, c]:
                    entry = first // group * kept + slot
                    weights[entry, c] = values[first + position, c]
                    indices[entry, c] = position
                    slot += 1
