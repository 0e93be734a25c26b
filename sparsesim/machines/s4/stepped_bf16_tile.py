"""The BF16 lanes of an SPU with their ports, register by register, clock by clock.

The flow is that of `stepped_spu_tile`, but an adder of `step_clocks` (T) registers accumulates:

- t: a step issues, at least T clocks after the one before; the lanes select;
- t+1: they multiply; t+2: the adder reads the accumulator, or +0 for a tile's first step;
- t+1+T: the sum is written (it shows at t+2+T); t+2+T: a finished tile moves to the drain;
- from then on a word per clock is rounded to BF16, and stands on `o` `quant_latency` clocks later.

Products: subnormal operands count as zeros of their sign, products below the smallest normal FP32
become such zeros; all others are exact in FP32. Sums are rounded to FP32 step after step, results
to BF16, to nearest even. NaN results are canonical (0x7FC0).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.s4.bf16_tile_ports import (
    Bf16TileResponse,
    Bf16TileSpec,
    Bf16TileStimulus,
    no_response,
)

_SMALLEST_NORMAL = np.float32(2.0**-126)


def run_bf16_tile(spec: Bf16TileSpec, stimulus: Bf16TileStimulus) -> Bf16TileResponse:
    """Outputs of one tile from reset, in each clock of `stimulus`."""
    response = no_response(spec, len(stimulus.a_valid))
    indices = stimulus.w_indices.reshape(-1, spec.cols, spec.index_bits)
    _run(
        spec.rows,
        spec.cols,
        spec.group,
        spec.drain_results,
        spec.quant_latency,
        spec.step_clocks,
        stimulus,
        _operands(stimulus.a_values),
        _operands(stimulus.w_values),
        indices @ (1 << np.arange(spec.index_bits)),
        response,
    )
    return response


def _operands(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """BF16 bits as FP32 numbers, without subnormals."""
    subnormal = bits & 0x7F80 == 0
    kept = np.where(subnormal, bits & 0x8000, bits).astype(np.uint32)
    return (kept << np.uint32(16)).view(np.float32)


@njit(cache=True)
def _product(x: np.float32, y: np.float32) -> np.float32:
    product = np.float32(x * y)
    if abs(product) < _SMALLEST_NORMAL:
        return np.float32(np.copysign(np.float32(0.0), product))
    return product


@njit(cache=True)
def _run(
    rows: int,
    cols: int,
    group: int,
    width: int,
    latency: int,
    step_clocks: int,
    stimulus: Bf16TileStimulus,
    acts: np.ndarray,
    weights: np.ndarray,
    places: np.ndarray,
    response: Bf16TileResponse,
) -> None:
    row_words = -(-cols // width)
    first = True
    drain_wait = 0
    step_wait = 0
    sel_valid, sel_first, sel_last = False, False, False
    sel_a = np.zeros((rows, cols), np.float32)
    sel_w = np.zeros(cols, np.float32)
    sel_live = np.zeros(cols, np.bool_)
    mul_valid, mul_first, mul_last = False, False, False
    product = np.zeros((rows, cols), np.float32)
    # The adder: at most one sum is inside; `adding` clocks until its accumulators are written.
    adding, adding_last = 0, False
    inside = np.zeros((rows, cols), np.float32)
    acc = np.zeros((rows, cols), np.float32)
    full = False
    drain = np.zeros((rows, cols), np.float32)
    drain_left = 0
    word_valid = np.zeros(latency, np.bool_)
    word_last = np.zeros(latency, np.bool_)
    word = np.zeros((latency, width), np.uint16)
    one = np.zeros(1, np.float32)
    for clock in range(stimulus.a_valid.size):
        out_valid = word_valid[latency - 1]
        if out_valid:
            response.o_valid[clock] = True
            response.o_last[clock] = word_last[latency - 1]
            response.o_values[clock] = word[latency - 1]
        moves = not out_valid or stimulus.o_ready[clock]
        tile_last = stimulus.w_tile_last[clock]
        issues = moves and stimulus.a_valid[clock] and stimulus.w_valid[clock]
        issues = issues and step_wait == 0 and (not tile_last or drain_wait <= 1)
        response.w_ready[clock] = issues
        response.a_ready[clock] = issues and (tile_last or stimulus.w_group_last[clock])
        if not moves:
            continue

        # From the back to the front: each stage reads what the one before it held.
        for stage in range(latency - 1, 0, -1):
            word_valid[stage] = word_valid[stage - 1]
            word_last[stage] = word_last[stage - 1]
            word[stage] = word[stage - 1]
        word_valid[0] = drain_left > 0
        if drain_left > 0:
            number = rows * row_words - drain_left
            row, low = number // row_words, number % row_words * width
            word_last[0] = drain_left == 1
            word[0, :] = 0
            for lane in range(min(width, cols - low)):
                one[0] = drain[row, low + lane]
                bits = np.int64(one.view(np.uint32)[0])
                if np.isnan(one[0]):
                    word[0, lane] = 0x7FC0
                else:
                    word[0, lane] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
            drain_left -= 1
        if full:
            drain[:, :] = acc
            drain_left = rows * row_words
        if mul_valid:
            adding, adding_last = step_clocks, mul_last
            for m in range(rows):
                for n in range(cols):
                    old = np.float32(0.0) if mul_first else acc[m, n]
                    inside[m, n] = old + product[m, n]
        full = adding == 1 and adding_last
        if adding > 0:
            adding -= 1
            if adding == 0:
                acc[:, :] = inside
        mul_valid, mul_first, mul_last = sel_valid, sel_first, sel_last
        if sel_valid:
            for n in range(cols):
                for m in range(rows):
                    product[m, n] = (
                        _product(sel_a[m, n], sel_w[n]) if sel_live[n] else np.float32(0.0)
                    )
        sel_valid = issues
        drain_wait = max(0, drain_wait - 1)
        step_wait = max(0, step_wait - 1)
        if issues:
            step_wait = step_clocks - 1
            sel_first, sel_last = first, tile_last
            for n in range(cols):
                sel_w[n] = weights[clock, n]
                sel_live[n] = stimulus.w_live[clock, n]
                for m in range(rows):
                    sel_a[m, n] = acts[clock, m * group + places[clock, n]]
            first = tile_last
            if tile_last:
                drain_wait = rows * row_words
