"""What the weights of a GEMM ask of the SPUs: steps per filter tile and group, and stored bytes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from sparsesim.errors import InputError
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.trace import NM, Balanced, Dense, Gemm, Operand, Trace, unpack
from sparsesim.trace.masks import PackedBits, group_counts

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters of one GEMM group, cut into tiles of `cols`.

    Attributes:
        cols_used: (C,) live filters of each tile.
        steps: (C, J) weight steps of each tile and group; 0 = skipped.
        pairs: (C, J) pairs that do work in these steps.
        dense: weights come without indices, every channel in turn.
        nonzeros: weights kept, of all filters (of one GEMM group).
        value_bytes, index_bytes: as stored, of all filters (of one GEMM group).
        label: pattern for tables.
        fetched: share of the stored bytes that a pass reads where they come from DRAM.
    """

    cols_used: Numbers
    steps: Numbers
    pairs: Numbers
    dense: bool
    nonzeros: int
    value_bytes: int
    index_bytes: int
    label: str
    fetched: float = 1.0

    @property
    def stored_bytes(self) -> int:
        """Values and indices."""
        return self.value_bytes + self.index_bytes

    @property
    def stored_pairs(self) -> int:
        """Pairs that the steps hold, padding included."""
        return int((self.steps.sum(axis=1) * self.cols_used).sum())


def filters_of(trace: Trace, gemm: Gemm, spec: S4Spec) -> Filters:
    """The filters (operand B) of `gemm` as the machine stores and runs them.

    A layer that breaks the balanced pattern is padded: to the fullest group of the layer with the
    `pairs` format, to the fullest lane of each tile and group with `bitmap`. Whether that is
    allowed is for `refuse_unbalanced` to say.
    """
    kept = uniform_kept(gemm.b, spec)
    if kept == spec.group:
        return _dense(gemm, spec)
    if kept is not None and kept in spec.kept_allowed:
        tiles, groups = _tiles(gemm.n, spec), _groups(gemm, spec)
        return _stored(
            np.full((tiles, groups), kept, np.int64), None, gemm.n * groups * kept, gemm, spec,
            f"balanced {kept}/{spec.group}",
        )  # fmt: skip
    counts = channel_counts(trace, gemm, spec)
    nonzeros = int(counts.sum()) // gemm.groups
    # Of a grouped product, the fullest group of channels stands for all.
    fullest = counts.reshape(gemm.groups, gemm.n, -1).max(axis=0)
    tiles = _tiles(gemm.n, spec)
    padded = np.zeros((tiles * spec.cols, fullest.shape[1]), np.int64)
    padded[: gemm.n] = fullest
    lanes = padded.reshape(tiles, spec.cols, -1)
    pairs = lanes.sum(axis=1)
    if spec.weight_format == "pairs":
        most = padded_kept(int(fullest.max()), spec)
        if most == spec.group:
            return _dense(gemm, spec, f"{gemm.b.pattern} run as dense", nonzeros)
        steps = np.full(pairs.shape, most, np.int64)
        label = f"{gemm.b.pattern} padded to {most}/{spec.group}"
        return _stored(steps, pairs, nonzeros, gemm, spec, label)
    steps = lanes.max(axis=1)
    empty = steps.sum(axis=1) == 0
    steps[empty, 0] = 1  # a tile without weights still gives zeros
    return _stored(steps, pairs, nonzeros, gemm, spec, f"{gemm.b.pattern} by fullest lane")


def uniform_kept(operand: Operand, spec: S4Spec) -> int | None:
    """Pairs per group that the operand's pattern promises of every group, or None."""
    pattern = operand.pattern
    if isinstance(pattern, Dense) or pattern.density == 1.0:
        return spec.group
    if isinstance(pattern, Balanced) and pattern.axis == "k" and spec.group % pattern.group == 0:
        return pattern.kept * (spec.group // pattern.group)
    if isinstance(pattern, NM) and pattern.axis == "k" and operand.mask is None:
        return pattern.n * (spec.group // pattern.m) if spec.group % pattern.m == 0 else None
    return None


def padded_kept(most: int, spec: S4Spec) -> int:
    """The smallest number of pairs per group that the format has and that holds `most`."""
    return min(kept for kept in spec.kept_allowed if kept >= most)


def channel_counts(trace: Trace, gemm: Gemm, spec: S4Spec) -> npt.NDArray[np.int64]:
    """Weights kept in each group of channels: shape (groups x n, taps x channel groups).

    Raises:
        InputError: the trace has no mask of the operand.
    """
    if gemm.b.mask is None:
        raise InputError(
            f"operator {gemm.name!r}: pattern {str(gemm.b.pattern)!r} of its weights breaks the "
            f"balanced pattern of {spec.group} channels, and the trace has no mask to pad"
        )
    return counts_of(trace.mask(gemm.b.mask), gemm.k, gemm.group_axis, spec.group)


def counts_of(bits: PackedBits, columns: int, channels: int, group: int) -> npt.NDArray[np.int64]:
    """Ones in each `group` channels of each kernel tap; a tap's last group may be short."""
    if channels % group == 0:
        return group_counts(bits, columns, group).astype(np.int64)
    mask = unpack(bits, columns).reshape(bits.shape[0], columns // channels, channels)
    short = ceil(channels / group) * group - channels
    wide = np.pad(mask, ((0, 0), (0, 0), (0, short)))
    return wide.reshape(bits.shape[0], -1, group).sum(axis=2, dtype=np.int64)


def _tiles(filters: int, spec: S4Spec) -> int:
    return ceil(filters / spec.cols)


def _groups(gemm: Gemm, spec: S4Spec) -> int:
    """Groups of channels in a filter: kernel taps x channel groups."""
    return gemm.k // gemm.group_axis * ceil(gemm.group_axis / spec.group)


def _cols_used(filters: int, spec: S4Spec) -> Numbers:
    used = np.full(_tiles(filters, spec), spec.cols, np.int64)
    used[-1] = filters - (used.size - 1) * spec.cols
    return used


def _dense(gemm: Gemm, spec: S4Spec, label: str = "dense", nonzeros: int | None = None) -> Filters:
    """All channels in turn; groups run along the whole reduction, so narrow taps fill them."""
    used = _cols_used(gemm.n, spec)
    steps = np.full(ceil(gemm.k / spec.group), spec.group, np.int64)
    steps[-1] = gemm.k - (steps.size - 1) * spec.group
    return Filters(
        cols_used=used,
        steps=np.tile(steps, (used.size, 1)),
        pairs=used[:, np.newaxis] * steps,
        dense=True,
        nonzeros=gemm.n * gemm.k if nonzeros is None else nonzeros,
        value_bytes=gemm.n * gemm.k * spec.element_bytes,
        index_bytes=0,
        label=label,
    )


def _stored(
    steps: Numbers, pairs: Numbers | None, nonzeros: int, gemm: Gemm, spec: S4Spec, label: str
) -> Filters:
    used = _cols_used(gemm.n, spec)
    if spec.weight_format == "pairs":  # every lane stores as many pairs as there are steps
        stored = int((steps.sum(axis=1) * used).sum())
        index_bits = stored * spec.index_bits
    else:  # only what is there: index and end-of-group bit each, one bit per sub-filter
        stored = nonzeros
        index_bits = stored * (spec.index_bits + 1) + gemm.n * steps.shape[1]
    return Filters(
        cols_used=used,
        steps=steps,
        pairs=used[:, np.newaxis] * steps if pairs is None else pairs,
        dense=False,
        nonzeros=nonzeros,
        value_bytes=stored * spec.element_bytes,
        index_bytes=ceil(index_bits / 8),
        label=label,
    )
