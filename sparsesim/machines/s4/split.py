"""How a GEMM is shared out over the cores of a die and the SPUs of a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np

from sparsesim.machines.s4.filters import Filters
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.machines.s4.spu import SpuShape


@dataclass(frozen=True)
class Work:
    """One part of a GEMM on one die: `groups` products of m rows, n filters, k deep."""

    groups: int
    m: int
    n: int
    k: int


@dataclass(frozen=True)
class Split:
    """Cores and SPUs along GEMM groups, rows and filters."""

    core_groups: int
    core_rows: int
    core_filters: int
    spu_groups: int
    spu_rows: int
    spu_filters: int

    @property
    def groups(self) -> int:
        return self.core_groups * self.spu_groups

    @property
    def rows(self) -> int:
        return self.core_rows * self.spu_rows

    @property
    def filters(self) -> int:
        return self.core_filters * self.spu_filters

    def label(self) -> str:
        """Short name for tables: cores x SPUs along groups, rows and filters."""
        return (
            f"cores {self.core_groups}x{self.core_rows}x{self.core_filters} "
            f"spus {self.spu_groups}x{self.spu_rows}x{self.spu_filters}"
        )


@dataclass(frozen=True)
class Share:
    """What the fullest SPU gets: GEMM groups, row tiles and filter tiles."""

    groups: int
    row_tiles: int
    filter_tiles: int


def share_of(work: Work, split: Split, spec: S4Spec) -> Share:
    """The fullest SPU's part of `work`."""
    return Share(
        ceil(work.groups / split.groups),
        ceil(ceil(work.m / spec.rows) / split.rows),
        ceil(ceil(work.n / spec.cols) / split.filters),
    )


def tile_clocks(filters: Filters, shape: SpuShape, rows: int) -> float:
    """Steady clocks of an average tile: steps, streams and drain at their rates."""
    steps = filters.steps
    acts = np.where(steps > 0, rows / shape.act_rows, 0.0)
    streamed = np.maximum(steps * max(shape.step_clocks, shape.weight_clocks), acts).sum(axis=1)
    drain = rows * np.ceil(filters.cols_used / shape.drain_width)
    return float(np.maximum(streamed, drain).mean())


def choose_split(
    work: Work,
    filters: Filters,
    shape: SpuShape,
    spec: S4Spec,
    ring_clocks: Callable[[Split], float],
) -> Split:
    """The split whose fullest SPU is done first; of equals the one that moves least on chip.

    Args:
        ring_clocks: clocks a core's ring link is busy under a split.
    """
    best: tuple[float, int, int] | None = None
    chosen = None
    rows = min(spec.rows, work.m)
    clocks = tile_clocks(filters, shape, rows)
    for split in _splits(spec.cores, spec.spus):
        share = share_of(work, split, spec)
        tiles = share.groups * share.row_tiles * share.filter_tiles
        # Equal times: few copies of activations between cores, then few of weights in a core.
        cost = (max(tiles * clocks, ring_clocks(split)), split.core_filters, split.spu_filters)
        if best is None or cost < best:
            best, chosen = cost, split
    assert chosen is not None
    return chosen


@cache
def _splits(cores: int, spus: int) -> tuple[Split, ...]:
    return tuple(
        Split(*of_cores, *of_spus) for of_cores in _triples(cores) for of_spus in _triples(spus)
    )


def _triples(count: int) -> Iterator[tuple[int, int, int]]:
    """All (a, b, c) with a b c = count."""
    for a in range(1, count + 1):
        if count % a:
            continue
        for b in range(1, count // a + 1):
            if count // a % b == 0:
                yield a, b, count // a // b
