"""`--check`: values that SPUs compute, against NumPy bit for bit, and their clocks.

Of each GEMM, some tiles are run on the stepped core with random operands and the trace's real
masks. Sums must equal NumPy in every bit (INT32, or FP32 in the order of docs/s4.md), also where
masks are padded; clocks must equal those of the fast core.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsesim.errors import CheckError
from sparsesim.machines.s4.fast import run_outcome
from sparsesim.machines.s4.filters import Filters, filters_of
from sparsesim.machines.s4.requantise import to_bf16
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.machines.s4.spu import Run, spu_shape
from sparsesim.machines.s4.stepped import run_spu
from sparsesim.trace import Gemm, Trace, unpack

_ROW_TILES = 2
Values = npt.NDArray[np.generic]


def check_operators(
    trace: Trace,
    spec: S4Spec,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Check tiles of every GEMM of `trace`; returns what was compared.

    Raises:
        CheckError: values differ from NumPy, or clocks from the fast core.
    """
    gemms = [operator for operator in trace.operators if isinstance(operator, Gemm)]
    tiles = 0
    for number, gemm in enumerate(gemms):
        filters = filters_of(trace, gemm, spec)
        tiles += _check(trace, gemm, filters, spec, np.random.default_rng(seed + number))
        if progress is not None:
            progress(number + 1, len(gemms))
    order = "INT32 sums" if spec.precision == "int8" else "FP32 sums in order of issue"
    return {
        "values": f"equal to NumPy in every bit ({order})",
        "clocks": "stepped equal to fast",
        "operators_checked": len(gemms),
        "tiles_checked": tiles,
    }


def _check(
    trace: Trace, gemm: Gemm, filters: Filters, spec: S4Spec, rng: np.random.Generator
) -> int:
    shape = spu_shape(spec, filters.dense)
    tile = int(rng.integers(filters.cols_used.size))
    used = int(filters.cols_used[tile])
    first = tile * spec.cols
    mask = _mask_rows(trace, gemm, first, used, filters)
    chosen = slice(tile, tile + 1)
    rows = np.full(_ROW_TILES, spec.rows, np.int64)
    rows[-1] = min(spec.rows, max(1, gemm.m % spec.rows))
    run = Run(rows, 1, 0, filters.cols_used[chosen], filters.steps[chosen], filters.pairs[chosen])
    matrix = _random(rng, (_ROW_TILES * spec.rows, gemm.k), spec)
    weights = np.where(mask, _random(rng, (used, gemm.k), spec), 0).astype(matrix.dtype)
    acts, padded, kept = _grouped(gemm, filters, spec, matrix, weights, mask)
    values, indices = weight_steps(padded, kept, filters.steps[tile], spec)
    outcome, sums = run_spu(shape, run, acts, values, indices, np.zeros(1, acts.dtype))
    if not np.array_equal(outcome, run_outcome(shape, run)):
        raise CheckError(f"operator {gemm.name!r}: stepped and fast core differ in clocks")
    live = np.concatenate([np.arange(n) + t * spec.rows for t, n in enumerate(rows)])
    expected = ordered_product(acts[live], values[:, :used], indices[:, :used], filters, tile, spec)
    found = sums[live][:, :used]
    if not np.array_equal(found, expected):
        raise CheckError(f"operator {gemm.name!r}: filter tile {tile} differs from NumPy in value")
    exact = matrix[live].astype(np.float64) @ weights.T.astype(np.float64)
    if not np.allclose(found, exact, rtol=1e-3, atol=1e-3 * (np.abs(exact).max() + 1)):
        raise CheckError(f"operator {gemm.name!r}: pairs do not give the masked product")
    return _ROW_TILES


def _random(rng: np.random.Generator, size: tuple[int, int], spec: S4Spec) -> Values:
    if spec.precision == "int8":
        return rng.integers(-128, 128, size).astype(np.int32)
    return to_bf16(rng.standard_normal(size).astype(np.float32))


def _mask_rows(
    trace: Trace, gemm: Gemm, first: int, used: int, filters: Filters
) -> npt.NDArray[np.bool_]:
    """(used, k) mask of one tile's filters; without a mask the first channels of each group."""
    if gemm.b.mask is not None:
        return unpack(trace.mask(gemm.b.mask)[first : first + used], gemm.k)
    if filters.dense:
        return np.ones((used, gemm.k), np.bool_)
    kept = int(filters.steps[0, 0])
    group = gemm.k // filters.steps.shape[1]
    return np.tile(np.arange(gemm.k) % group < kept, (used, 1))


def _grouped(
    gemm: Gemm,
    filters: Filters,
    spec: S4Spec,
    matrix: Values,
    weights: Values,
    mask: npt.NDArray[np.bool_],
) -> tuple[Values, Values, npt.NDArray[np.bool_]]:
    """Both operands with the reduction padded to whole groups, of each tap unless dense."""
    channels = gemm.k if filters.dense else gemm.group_axis
    taps = gemm.k // channels
    wide = ceil(channels / spec.group) * spec.group

    def pad(values: Values) -> Values:
        cut = values.reshape(values.shape[0], taps, channels)
        return np.ascontiguousarray(
            np.pad(cut, ((0, 0), (0, 0), (0, wide - channels))).reshape(values.shape[0], -1)
        )

    return pad(matrix), pad(weights), pad(mask).astype(np.bool_)


def weight_steps(
    weights: Values, mask: npt.NDArray[np.bool_], steps: npt.NDArray[np.int64], spec: S4Spec
) -> tuple[Values, npt.NDArray[np.int16]]:
    """The weight stream of one tile: (steps, cols) values and indices, -1 for idle lanes.

    A group's pairs come in order of channels; lanes with fewer pairs than steps idle at the end.
    """
    filters = weights.shape[0]
    values = np.zeros((int(steps.sum()), spec.cols), weights.dtype)
    indices = np.full(values.shape, -1, np.int16)
    at = 0
    for group, count in enumerate(steps):
        span = slice(group * spec.group, (group + 1) * spec.group)
        for filter_ in range(filters):
            places = np.flatnonzero(mask[filter_, span])[:count]
            values[at : at + places.size, filter_] = weights[filter_, span][places]
            indices[at : at + places.size, filter_] = places
        at += int(count)
    return values, indices


def ordered_product(
    acts: Values,
    values: Values,
    indices: npt.NDArray[np.int16],
    filters: Filters,
    tile: int,
    spec: S4Spec,
) -> Values:
    """NumPy reference: from +0, step after step, one rounded sum per step (exact for integers)."""
    total = np.zeros((acts.shape[0], values.shape[1]), acts.dtype)
    group_of_step = np.repeat(np.arange(filters.steps.shape[1]), filters.steps[tile])
    for step, group in enumerate(group_of_step):
        places = group * spec.group + np.maximum(indices[step], 0)
        weight = np.where(indices[step] >= 0, values[step], 0).astype(acts.dtype)
        total = np.add(total, np.multiply(acts[:, places], weight))
    return total
