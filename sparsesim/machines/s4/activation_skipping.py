"""What skipping zero activations would give: an option that the published chip does not have.

A step serves all rows of a tile and all filters at once, so it can be left out only if every
activation that it would select is zero. With dense weights all filters select one channel: the
channel must be zero in every row (TEAL and CHESS use this at batch 1). With indexed weights each
filter selects a channel of its own, and nearly always one of them is live. It would take a zero
detector over the rows of a tile, and, for indexed weights, one comparison per lane and step.

Zeros are drawn independently with the density of the machine file, or are those that `sparsesim
extract --activations` measured. One tile of rows stands for all: drawn, or the measured one that
has as many live channels as the mean, or the next more.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import numpy.typing as npt

from sparsesim.machines.s4.filters import Filters, Numbers
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.trace import Gemm, Trace, unpack

_SEED = 20220718


def without_dead_steps(trace: Trace, filters: Filters, gemm: Gemm, spec: S4Spec) -> Filters:
    """`filters` less the steps whose selected activations are all zero.

    Weights of channels that are zero in the only tile of rows are not fetched from DRAM either;
    they take their room where weights are kept on chip.
    """
    rng = np.random.default_rng(_SEED)
    if spec.activation_density == "trace":
        if gemm.a.mask is None or gemm.groups > 1:
            return filters
        live = _measured(trace.mask(gemm.a.mask), filters, gemm, spec)
    elif spec.activation_density == 1.0:
        return filters
    else:
        dead = (1.0 - spec.activation_density) ** min(spec.rows, gemm.m)
        live = rng.random((filters.steps.shape[1], spec.group)) >= dead
    if filters.dense:
        alive = np.arange(spec.group) < filters.steps[0][:, np.newaxis]
        steps = np.tile((live & alive).sum(axis=1), (filters.steps.shape[0], 1))
    else:
        steps = np.stack(
            [
                _live_steps(live, counts, int(lanes), rng)
                for counts, lanes in zip(filters.steps, filters.cols_used, strict=True)
            ]
        )
    steps[steps.sum(axis=1) == 0, 0] = 1  # a tile still gives its zeros
    share = int(steps.sum()) / int(filters.steps.sum())
    fetched = share if filters.dense and gemm.m <= spec.rows else 1.0
    pairs = np.minimum(filters.pairs, steps * filters.cols_used[:, np.newaxis])
    return replace(
        filters,
        steps=steps,
        pairs=pairs,
        nonzeros=round(filters.nonzeros * share),
        fetched=fetched,
        label=f"{filters.label}, {1.0 - share:.0%} of steps skipped",
    )


def _live_steps(
    live: npt.NDArray[np.bool_], counts: Numbers, lanes: int, rng: np.random.Generator
) -> Numbers:
    """Steps of each group left for one tile of filters, whose pairs come in order of channel.

    Args:
        live: (groups, channels). counts: (groups,) steps; the channels of each lane are drawn.
    """
    groups, channels = live.shape
    most = int(counts.max())
    chosen = rng.random((groups, lanes, channels)).argsort(axis=2)[:, :, :most]
    idle = np.arange(most) >= counts[:, np.newaxis]
    chosen = np.sort(np.where(idle[:, np.newaxis, :], channels, chosen), axis=2)
    padded = np.pad(live, ((0, 0), (0, 1)))  # an idle lane selects nothing
    used = padded[np.arange(groups)[:, np.newaxis, np.newaxis], chosen]
    return np.asarray(used.any(axis=1).sum(axis=1), np.int64)


def _measured(
    bits: npt.NDArray[np.uint8], filters: Filters, gemm: Gemm, spec: S4Spec
) -> npt.NDArray[np.bool_]:
    """(groups, channels of a group) that are live in some row of a typical tile of rows."""
    mask = unpack(bits, gemm.k)
    tiles = np.logical_or.reduceat(mask, np.arange(0, mask.shape[0], spec.rows), axis=0)
    counts = tiles.sum(axis=1)
    typical = tiles[np.where(counts >= counts.mean(), counts, gemm.k + 1).argmin()]
    # Groups run along the whole reduction of dense layers, else along the channels of each tap.
    channels = gemm.k if filters.dense else gemm.group_axis
    short = ceil(channels / spec.group) * spec.group - channels
    taps = np.pad(typical.reshape(-1, channels), ((0, 0), (0, short)))
    return taps.reshape(-1, spec.group)
