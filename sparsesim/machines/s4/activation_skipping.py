"""What skipping zero activations would give: an option that the published chip does not have.

A step serves all rows of a tile and all filters at once, so it can be left out only if every
activation that it would select is zero. With dense weights all filters select one channel: the
channel must be zero in every row (TEAL and CHESS use this at batch 1). With indexed weights each
filter selects a channel of its own, and nearly always one of them is live. It would take a zero
detector over the rows of a tile, and, for indexed weights, one comparison per lane and step.

Zeros are drawn independently with the density of the machine file; one draw stands for all tiles
of rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparsesim.machines.s4.filters import Filters
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.trace import Gemm

_SEED = 20220718


def without_dead_steps(filters: Filters, gemm: Gemm, spec: S4Spec) -> Filters:
    """`filters` less the steps whose selected activations are all zero.

    Weights of channels that are zero in the only tile of rows are not fetched either.
    """
    if spec.activation_density == 1.0:
        return filters
    rng = np.random.default_rng(_SEED)
    rows = min(spec.rows, gemm.m)
    live = rng.random((filters.steps.shape[1], spec.group)) >= (
        (1.0 - spec.activation_density) ** rows
    )
    if filters.dense:
        alive = np.arange(spec.group) < filters.steps[0][:, np.newaxis]
        steps = np.tile((live & alive).sum(axis=1), (filters.steps.shape[0], 1))
    else:
        steps = np.zeros_like(filters.steps)
        for tile, groups in enumerate(filters.steps):
            for group, count in enumerate(groups):
                chosen = rng.integers(0, spec.group, (count, int(filters.cols_used[tile])))
                steps[tile, group] = live[group][chosen].any(axis=1).sum()
    steps[steps.sum(axis=1) == 0, 0] = 1  # a tile still gives its zeros
    share = int(steps.sum()) / int(filters.steps.sum())
    fetched = share if filters.dense and gemm.m <= spec.rows else 1.0
    pairs = np.minimum(filters.pairs, steps * filters.cols_used[:, np.newaxis])
    return replace(
        filters,
        steps=steps,
        pairs=pairs,
        nonzeros=round(filters.nonzeros * share),
        value_bytes=round(filters.value_bytes * fetched),
        label=f"{filters.label}, {1.0 - share:.0%} of steps skipped",
    )
