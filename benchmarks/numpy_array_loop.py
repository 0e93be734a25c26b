"""Baseline: a weight-stationary pass as a loop over clocks with whole-array NumPy operations.

What one writes first: every clock, all PEs at once. It gives the values of the stepped core.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.passes import PassShape

Float = npt.NDArray[np.float32]


def weight_stationary_pass(
    shape: PassShape, a_tile: Float, weights: Float, indices: npt.NDArray[np.int32]
) -> tuple[int, Float]:
    """Clocks of the stream and drain, and (rows, cols) sums of a pass without bank conflicts.

    `a_tile` rows must be a multiple of the interleave.
    """
    rows, cols, kept = shape.rows, shape.cols, shape.kept
    block = shape.interleave if kept > 1 else 1
    round_clocks = shape.round_clocks if kept > 1 else 1
    row = np.arange(rows)
    value = weights.reshape(rows, kept, cols)
    column = indices.reshape(rows, kept, cols) + (row * shape.group)[:, None, None]
    issues = a_tile.shape[0] // block * kept * round_clocks
    clocks = issues + (rows - 1) * shape.row_skew + shape.mul_latency + shape.add_latency
    accumulator = np.zeros((rows, block, cols), np.float32)
    result = np.zeros((rows + 1, cols), np.float32)
    products = np.zeros((shape.mul_latency, rows, cols), np.float32)
    totals = np.zeros((shape.add_latency, rows, cols), np.float32)
    sums = np.zeros((a_tile.shape[0], cols), np.float32)

    def fields(issue: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
        turn, lane = np.divmod(issue, round_clocks)
        number, slot = np.divmod(turn, kept)
        active = (issue >= 0) & (issue < issues) & (lane < block)
        return active, np.where(active, number * block + lane, 0), slot % kept, lane % block

    for clock in range(clocks):
        issue = clock - row * shape.row_skew
        active, m, slot, lane = fields(issue - shape.mul_latency - shape.add_latency)
        total = totals[clock % shape.add_latency]
        accumulator[row[active], lane[active]] = total[active]
        leaves = active & (slot == kept - 1)
        result[1:][leaves] = total[leaves]
        if leaves[-1]:
            sums[m[-1]] = total[-1]
        _, _, slot, lane = fields(issue - shape.mul_latency)
        addend = np.where((slot == 0)[:, None], result[:-1], accumulator[row, lane])
        totals[clock % shape.add_latency] = addend + products[clock % shape.mul_latency]
        _, m, slot, _ = fields(issue)
        selected = a_tile[m[:, None], column[row, slot]]
        products[clock % shape.mul_latency] = value[row, slot] * selected
    return clocks, sums
