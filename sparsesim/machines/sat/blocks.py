"""The blocks of a scheduled GEMM in the order they run, with what each loads and stores."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.im2col import ELEMENT_BYTES
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.schedule import Schedule, a_block_bytes, b_block_bytes

Numbers = npt.NDArray[np.int64]
Span = tuple[int, int]


class BlockSteps(NamedTuple):
    """S steps of one GEMM (all groups): block numbers and DRAM bytes of each step."""

    m: Numbers  # (S,) index into `m_spans`
    k: Numbers
    n: Numbers
    a_bytes: Numbers  # (S,) 0 where the block is still on chip
    b_bytes: Numbers  # values
    metadata_bytes: Numbers  # position indices
    store_bytes: Numbers  # (S,) 0 but where a result block is complete
    m_spans: list[Span]
    k_spans: list[Span]
    n_spans: list[Span]


def block_steps(problem: Problem, schedule: Schedule) -> BlockSteps:
    """Unroll a schedule: k innermost; an operand block that stays is not loaded again."""
    m_spans = _spans(problem.m, schedule.block_m)
    k_spans = _spans(problem.k, schedule.block_k)
    n_spans = _spans(problem.n, schedule.block_n)
    counts = len(m_spans), len(n_spans), len(k_spans)
    if schedule.outer == "m":
        m, n, k = (axis.ravel() for axis in np.indices(counts))
    else:
        n, m, k = (axis.ravel() for axis in np.indices((counts[1], counts[0], counts[2])))

    a_sizes = a_block_bytes(problem, schedule.block_m, schedule.block_k)
    b_values, b_indices = b_block_bytes(problem, schedule.block_k, schedule.block_n)
    out_sizes = np.array(
        [[ELEMENT_BYTES * (ms[1] - ms[0]) * (ns[1] - ns[0]) for ns in n_spans] for ms in m_spans]
    )
    new_a = np.append(True, (np.diff(m) != 0) | (np.diff(k) != 0))
    new_b = np.append(True, (np.diff(n) != 0) | (np.diff(k) != 0))
    complete = k == counts[2] - 1

    def all_groups(column: npt.NDArray[np.int64]) -> Numbers:
        return np.tile(column.astype(np.int64), problem.groups)

    return BlockSteps(
        all_groups(m),
        all_groups(k),
        all_groups(n),
        all_groups(np.where(new_a, a_sizes[m, k], 0)),
        all_groups(np.where(new_b, b_values[k, n], 0)),
        all_groups(np.where(new_b, b_indices[k, n], 0)),
        all_groups(np.where(complete, out_sizes[m, n], 0)),
        m_spans,
        k_spans,
        n_spans,
    )


def _spans(extent: int, block: int) -> list[Span]:
    return [(first, min(first + block, extent)) for first in range(0, extent, block)]


def column_tiles(span: Span, cols: int) -> int:
    """Passes side by side that cover a span of result columns."""
    return ceil((span[1] - span[0]) / cols)
