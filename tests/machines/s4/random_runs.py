"""Random SPUs and runs of them, small enough to step and odd enough to hit every limit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from sparsesim.machines.s4.spu import Run, SpuShape


class Case(NamedTuple):
    shape: SpuShape
    run: Run
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, cols = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    group = draw(st.sampled_from([2, 4, 8]))
    shape = SpuShape(
        rows=rows,
        cols=cols,
        group=group,
        act_rows=draw(st.integers(1, rows)),
        act_capacity=rows * draw(st.integers(2, 4)) + draw(st.integers(0, rows - 1)),
        weight_clocks=draw(st.integers(1, 3)),
        weight_depth=draw(st.integers(2, 4)),
        step_clocks=draw(st.integers(1, 2)),
        drain_width=draw(st.integers(1, cols)),
        quant_latency=draw(st.integers(1, 4)),
    )
    row_tiles, laps = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    col_tiles, groups = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lap = rng.integers(1, rows + 1, row_tiles) if draw(st.booleans()) else np.full(row_tiles, rows)
    rows_used = np.tile(lap, laps)
    regular = rows_used.size
    if draw(st.booleans()):  # a short last tile of rows
        rows_used = np.append(rows_used, rng.integers(1, rows + 1))
    cols_used = np.full(col_tiles, cols)
    cols_used[-1] = rng.integers(1, cols + 1)
    if draw(st.booleans()):
        steps = np.full((col_tiles, groups), rng.integers(1, group + 1))
    else:
        steps = rng.integers(0, group + 1, (col_tiles, groups))
        steps[:, rng.integers(groups)] += steps.sum(axis=1) == 0
    pairs = rng.integers(0, steps * cols_used[:, np.newaxis] + 1)
    whole = [array.astype(np.int64) for array in (cols_used, steps, pairs)]
    return Case(
        shape,
        Run(rows_used.astype(np.int64), row_tiles, regular, *whole),
        int(rng.integers(2**32)),
    )
