"""Offline scheduling: dataflow and on-chip blocks of each GEMM, by predicted cycles.

A GEMM is cut into blocks of `block_m` x `block_k` x `block_n` that fit half of each on-chip
buffer. Blocks run with k innermost, so that results stay on chip until they are complete; the
outer loop is over m or over n. The prediction samples the bank pattern of the activation buffer
away from image borders and takes the DRAM stream as perfectly overlapped; the simulation then says
what really happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from statistics import fmean
from typing import Literal

import numpy as np
import numpy.typing as npt

from sparsesim.errors import InputError
from sparsesim.machines.sat.fast import flush_clocks
from sparsesim.machines.sat.im2col import (
    ELEMENT_BYTES,
    Image,
    pixel_requests,
    slice_requests,
    source_lines,
)
from sparsesim.machines.sat.passes import DATAFLOW_NAMES, OS, WS, PassShape, pass_shape
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec

PARTIAL_SUM_BYTES = 4
_TILES_LOOKED_AT = 32
Outer = Literal["m", "n"]
_OUTER_LOOPS: tuple[Outer, ...] = ("m", "n")


@dataclass(frozen=True)
class Schedule:
    """How one GEMM runs; `predicted_cycles` is the offline estimate."""

    dataflow: int
    block_m: int
    block_k: int
    block_n: int
    outer: Outer
    predicted_cycles: int

    @property
    def mapping(self) -> str:
        """Short name for tables, such as ``ws 3136x1152x64 m-outer``."""
        name = DATAFLOW_NAMES[self.dataflow]
        return f"{name} {self.block_m}x{self.block_k}x{self.block_n} {self.outer}-outer"


def choose_schedule(problem: Problem, spec: SatSpec, name: str) -> Schedule:
    """The candidate that moves the fewest DRAM bytes of those that are about the fastest.

    About: within `spec.schedule_slack` of the fewest predicted cycles; without slack a schedule
    that fetches everything twice would win by a clock.

    Raises:
        InputError: no dataflow allowed by the machine can run `name` within its buffers.
    """
    candidates: list[tuple[float, float, Schedule]] = []
    for dataflow in _dataflows(problem, spec):
        shape = pass_shape(spec, problem, dataflow)
        for blocks in _fitting_blocks(problem, spec, shape):
            for outer in _OUTER_LOOPS:
                cycles, size = _predict(problem, spec, shape, blocks, outer)
                schedule = Schedule(dataflow, *blocks, outer, ceil(cycles))
                candidates.append((size, cycles, schedule))
    if not candidates:
        raise InputError(
            f"operator {name!r}: no pass of dataflow {spec.dataflow!r} fits: needs N <= n_max = "
            f"{spec.n_max} for ws, and one array tile in half of act_buffer_bytes = "
            f"{spec.act_buffer_bytes}, weight_buffer_bytes = {spec.weight_buffer_bytes} and "
            f"out_buffer_bytes = {spec.out_buffer_bytes}"
        )
    limit = min(cycles for _size, cycles, _schedule in candidates) * (1 + spec.schedule_slack)
    return min((entry for entry in candidates if entry[1] <= limit), key=lambda entry: entry[:2])[2]


def _dataflows(problem: Problem, spec: SatSpec) -> list[int]:
    allowed = {"auto": [WS, OS], "ws": [WS], "os": [OS]}[spec.dataflow]
    return [flow for flow in allowed if flow == OS or problem.kept <= spec.n_max]


@lru_cache(maxsize=1024)
def a_block_bytes(problem: Problem, block_m: int, block_k: int) -> npt.NDArray[np.int64]:
    """DRAM bytes of every block of the streamed operand: shape (blocks along m, along k).

    Whole image lines if that is less than the im2col expansion (a line is fetched once and
    serves all its taps), else the expansion. Blocks differ: one that starts inside a line or an
    image needs more lines than one that starts in the padding.
    """
    m, k = _edges(problem.m, block_m), _edges(problem.k, block_k)
    image = problem.image
    rows = k if problem.transposed else m
    lines = source_lines(image, rows[:-1], rows[1:]) * (image.width * image.channels)
    expanded = np.outer(np.diff(m), np.diff(k))
    sizes = ELEMENT_BYTES * np.minimum(
        expanded, lines if problem.transposed else lines[:, np.newaxis]
    )
    sizes.flags.writeable = False
    return sizes


def _edges(extent: int, block: int) -> npt.NDArray[np.int64]:
    """Where blocks start, and where the last one ends."""
    return np.append(np.arange(0, extent, block, dtype=np.int64), extent)


@lru_cache(maxsize=1024)
def b_block_bytes(
    problem: Problem, block_k: int, block_n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """DRAM bytes of every block of the indexed operand, compressed if N:M.

    Returns:
        Values and position indices, each of shape (blocks along k, blocks along n). An operand
        that is read from an image (a pruned output gradient) is fetched as whole lines if that is
        less than its im2col expansion.
    """
    k, n = _edges(problem.k, block_k), _edges(problem.n, block_n)
    groups = np.outer(-(-np.diff(k) // problem.group), np.diff(n))
    image = problem.indexed_image
    if image is not None:
        lines = source_lines(image, n[:-1], n[1:]) * (image.width * image.channels)
        groups = np.minimum(groups, -(-lines // problem.group))
    kept = groups * problem.kept
    values, indices = ELEMENT_BYTES * kept, -(-kept * problem.index_bits // 8)
    values.flags.writeable = indices.flags.writeable = False
    return values, indices


def _granules(problem: Problem, shape: PassShape) -> tuple[int, int, int]:
    """Smallest block extents that fill whole passes."""
    if shape.dataflow == WS:
        return shape.interleave, shape.tile_k, shape.cols
    return shape.tile_m, problem.group, shape.cols


def _up(extent: int, granule: int) -> int:
    """`extent` rounded up to whole granules."""
    return ceil(extent / granule) * granule


def _halvings(extent: int, granule: int) -> Iterator[int]:
    """`extent`, then halves of it rounded up to whole granules, down to one granule."""
    size = ceil(extent / granule)
    yield extent
    while size > 1:
        size = ceil(size / 2)
        yield size * granule


def _fitting_blocks(
    problem: Problem, spec: SatSpec, shape: PassShape
) -> Iterator[tuple[int, int, int]]:
    granule_m, granule_k, granule_n = _granules(problem, shape)
    whole = 0
    for block_k in _halvings(problem.k, granule_k):
        if whole == 4:  # shorter reductions only fetch more once the whole result stays on chip
            break
        fits = 0
        for block_n in _halvings(problem.n, granule_n):
            values, indices = b_block_bytes(problem, block_k, block_n)
            if (values + indices).max() > spec.weight_buffer_bytes // 2:
                continue
            for block_m in _halvings(problem.m, granule_m):
                # Whole passes are computed, so their padding needs room as well.
                padded_m = block_m if shape.dataflow == WS else _up(block_m, shape.rows)
                out = padded_m * _up(block_n, granule_n) * PARTIAL_SUM_BYTES
                if out > spec.out_buffer_bytes // 2:
                    continue
                if a_block_bytes(problem, block_m, block_k).max() > spec.act_buffer_bytes // 2:
                    continue
                even = min(block_m, _up(ceil(problem.m / ceil(problem.m / block_m)), granule_m))
                # Smaller, but cut elsewhere in the image, where a block may need more lines.
                if a_block_bytes(problem, even, block_k).max() > spec.act_buffer_bytes // 2:
                    even = block_m
                yield even, block_k, block_n
                whole += even == problem.m and block_n == problem.n
                break
            fits += 1
            if fits == 4:  # smaller column blocks only fetch more
                break


def pass_clocks(shape: PassShape, image: Image, m_length: int, k_length: int) -> int:
    """Clocks of one pass, with the bank pattern of a few fetch units taken for all.

    Exact where no unit exceeds what its time allows; what image borders and line ends change is
    left to the simulation.
    """
    if shape.dataflow == WS:
        return ceil(shape.load + _ws_stream(shape, image, m_length, k_length)) + flush_clocks(
            shape, 0
        )
    used = ceil(m_length / shape.rows)
    rounds = ceil(k_length / shape.group) * shape.kept
    if shape.transposed:
        group = shape.group
        fetches = [group * row for row in _row_fetches(shape, image, m_length, shape.tile_m)]
    else:
        group = max(shape.group, shape.word_elements)
        words = ceil(group / shape.word_elements)
        fetches = [used * words * _pixels_fetch(shape, image, min(shape.rows, m_length))]
    lasts = group // shape.group * shape.kept * shape.round_clocks
    slowed = fmean(max(1.0, fetch / lasts) for fetch in fetches)
    stream = ceil(fetches[0] + rounds * shape.round_clocks * slowed)
    return stream - (shape.round_clocks - used) + flush_clocks(shape, used)


def _ws_stream(shape: PassShape, image: Image, m_length: int, k_length: int) -> float:
    """Clocks in which a weight-stationary pass streams its rows."""
    if shape.transposed:
        fetches = [_pixels_fetch(shape, image, k_length) / shape.word_elements]
    else:
        fetches = _row_fetches(shape, image, k_length, shape.tile_k)
    if shape.kept == 1:
        return m_length * fmean(max(1, row) for row in fetches)
    blocks = ceil(m_length / shape.interleave)
    used = m_length - (blocks - 1) * shape.interleave
    lasts = fmean(max(shape.kept * shape.round_clocks, row * shape.interleave) for row in fetches)
    return blocks * lasts - (shape.round_clocks - used)


@lru_cache(maxsize=4096)
def _row_fetches(shape: PassShape, image: Image, length: int, tile: int) -> list[float]:
    """Clocks to fetch `length` columns of an im2col row, for some tiles of its columns.

    The row is one in the image's middle. Taps may share banks: with as many channels as the
    banks hold, all of them do.
    """
    middle = image.out_height // 2 * image.out_width + image.out_width // 2
    clocks: list[float] = []
    for first in range(0, image.columns - length + 1, tile)[:_TILES_LOOKED_AT]:
        pending = np.zeros(shape.banks, np.int64)
        slice_requests(image, middle, first, first + length, shape.word_elements, pending)
        clocks.append(int(pending.max()))
    return clocks


@lru_cache(maxsize=4096)
def _pixels_fetch(shape: PassShape, image: Image, pixels: int) -> float:
    """Clocks to fetch one word of each of `pixels` neighbouring im2col rows, on average.

    A stride leaves some banks out, and rows of several lines may share banks.
    """
    centre = image.kernel_h // 2 * image.kernel_w + image.kernel_w // 2
    clocks = []
    for first in range(0, image.rows - pixels + 1, pixels)[:_TILES_LOOKED_AT]:
        pending = np.zeros(shape.banks, np.int64)
        pixel_requests(image, first, first + pixels, centre, 1, pending)
        clocks.append(int(pending.max()))
    return fmean(clocks)


def _parts(extent: int, block: int) -> list[tuple[int, int]]:
    """(length, count) of full blocks and of the last one."""
    full, rest = divmod(extent, block)
    return [part for part in ((block, full), (rest, 1)) if part[0] and part[1]]


def _predict(
    problem: Problem,
    spec: SatSpec,
    shape: PassShape,
    blocks: tuple[int, int, int],
    outer: Outer,
) -> tuple[float, float]:
    block_m, block_k, block_n = blocks
    column_tiles = sum(
        ceil(length / shape.cols) * count for length, count in _parts(problem.n, block_n)
    )
    compute = 0
    for m_length, m_count in _parts(problem.m, block_m):
        for k_length, k_count in _parts(problem.k, block_k):
            compute += m_count * k_count * _block_clocks(shape, problem.image, m_length, k_length)
    compute *= column_tiles * problem.groups

    count_m, count_k, count_n = (
        ceil(problem.m / block_m),
        ceil(problem.k / block_k),
        ceil(problem.n / block_n),
    )
    a_sizes = a_block_bytes(problem, block_m, block_k)
    a_once = int(a_sizes.sum())
    values, indices = b_block_bytes(problem, block_k, block_n)
    b_once = int(values.sum() + indices.sum())
    a_times = 1 if (outer == "m" and count_k == 1) or count_m * count_k == 1 else count_n
    b_times = 1 if (outer == "n" and count_k == 1) or count_n * count_k == 1 else count_m
    out = problem.m * problem.n * ELEMENT_BYTES
    size = problem.groups * (a_once * a_times + b_once * b_times + out)
    per_clock = spec.dram_bytes_per_clock
    first = int(a_sizes[0, 0] + values[0, 0] + indices[0, 0]) / per_clock
    last = block_m * block_n * ELEMENT_BYTES / per_clock
    return max(first + compute + last, size / per_clock) + 2 * spec.dram_latency, size


def _block_clocks(shape: PassShape, image: Image, m_length: int, k_length: int) -> int:
    """Clocks of all passes of a block for one tile of columns."""
    if shape.dataflow == WS:
        parts = _parts(k_length, shape.tile_k)
        return sum(count * pass_clocks(shape, image, m_length, length) for length, count in parts)
    parts = _parts(m_length, shape.tile_m)
    return sum(count * pass_clocks(shape, image, length, k_length) for length, count in parts)
