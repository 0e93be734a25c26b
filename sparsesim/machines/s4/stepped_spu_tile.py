"""The SPU tile with its ports, register by register, clock by clock.

The tile is the SPU of `stepped` behind its FIFOs: what stands on `a` and `w` are the heads of the
activation and the weight FIFO. A step issues in clock t if a group and a step stand and, for the
last step of a tile, the drain will have room. Then

- t: every lane selects the activation its index names (registers at the end of the clock);
- t+1: multiplies; t+2: adds to its accumulator (INT32, wraps); the tile's first step replaces it;
- t+3: a finished tile moves to the drain registers;
- t+4 and on: one word of `drain_results` sums per clock, row after row, enters requantisation and
  stands on `o` after `quant_latency` clocks.

The next tile may end after as many clocks as the drain needs for one. `a` is taken with the last
step of its group. Everything stands still while a word on `o` is not taken.

q = saturate((sum + bias) x multiplier / 2^shift), rounded to nearest, halves up: as `requantise`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparsesim.machines.s4.spu_tile_ports import (
    SpuTileResponse,
    SpuTileSpec,
    SpuTileStimulus,
    no_response,
)


def run_spu_tile(spec: SpuTileSpec, stimulus: SpuTileStimulus) -> SpuTileResponse:
    """Outputs of one tile from reset, in each clock of `stimulus`."""
    response = no_response(spec, len(stimulus.a_valid))
    indices = stimulus.w_indices.reshape(-1, spec.cols, spec.index_bits)
    places = indices @ (1 << np.arange(spec.index_bits))
    _run(
        spec.rows,
        spec.cols,
        spec.group,
        spec.drain_results,
        spec.quant_latency,
        stimulus,
        places,
        response,
    )
    return response


@njit(cache=True)
def _signed(value: int, bits: int) -> int:
    return value - ((value >> (bits - 1)) << bits)


@njit(cache=True)
def _run(
    rows: int,
    cols: int,
    group: int,
    width: int,
    latency: int,
    stimulus: SpuTileStimulus,
    places: np.ndarray,
    response: SpuTileResponse,
) -> None:
    row_words = -(-cols // width)
    bias = np.zeros(cols, np.int64)
    multiplier = np.zeros(cols, np.int64)
    shift = np.zeros(cols, np.int64)
    first = True
    drain_wait = 0
    sel_valid, sel_first, sel_last = False, False, False
    sel_a = np.zeros((rows, cols), np.int32)
    sel_w = np.zeros(cols, np.int32)
    mul_valid, mul_first, mul_last = False, False, False
    product = np.zeros((rows, cols), np.int32)
    acc = np.zeros((rows, cols), np.int32)
    full = False
    drain = np.zeros((rows, cols), np.int32)
    drain_left = 0
    # Words in requantisation; the last stage is the output.
    word_valid = np.zeros(latency, np.bool_)
    word_last = np.zeros(latency, np.bool_)
    word = np.zeros((latency, width), np.int8)
    for clock in range(stimulus.a_valid.size):
        out_valid = word_valid[latency - 1]
        if out_valid:
            response.o_valid[clock] = True
            response.o_last[clock] = word_last[latency - 1]
            response.o_values[clock] = word[latency - 1]
        moves = not out_valid or stimulus.o_ready[clock]
        tile_last = stimulus.w_tile_last[clock]
        issues = moves and stimulus.a_valid[clock] and stimulus.w_valid[clock]
        issues = issues and (not tile_last or drain_wait <= 1)
        response.q_ready[clock] = moves
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
                n = low + lane
                wide = (np.int64(drain[row, n]) + bias[n]) * multiplier[n]
                half = np.int64(1) << (shift[n] - 1) if shift[n] else np.int64(0)
                value = (wide + half) >> shift[n]
                least = 0 if stimulus.relu[clock] else -128
                word[0, lane] = min(127, max(least, value))
            drain_left -= 1
        if full:
            drain[:, :] = acc
            drain_left = rows * row_words
        full = mul_valid and mul_last
        if mul_valid:
            for m in range(rows):
                for n in range(cols):
                    acc[m, n] = product[m, n] + (np.int32(0) if mul_first else acc[m, n])
        mul_valid, mul_first, mul_last = sel_valid, sel_first, sel_last
        if sel_valid:
            for m in range(rows):
                for n in range(cols):
                    product[m, n] = sel_a[m, n] * sel_w[n]
        sel_valid = issues
        drain_wait = max(0, drain_wait - 1)
        if issues:
            sel_first, sel_last = first, tile_last
            for n in range(cols):
                sel_w[n] = stimulus.w_values[clock, n]
                for m in range(rows):
                    sel_a[m, n] = stimulus.a_values[clock, m * group + places[clock, n]]
            first = tile_last
            if tile_last:
                drain_wait = rows * row_words
        if stimulus.q_valid[clock] and stimulus.q_column[clock] < cols:
            n = stimulus.q_column[clock]
            bias[n] = _signed(stimulus.q_bias[clock], 32)
            multiplier[n] = _signed(stimulus.q_multiplier[clock], 16)
            shift[n] = stimulus.q_shift[clock]
