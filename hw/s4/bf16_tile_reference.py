"""Golden model of the BF16 lanes: each tile's steps by NumPy, then the clocks it leaves in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.s4.bf16_tile_ports import (
    Bf16TileResponse,
    Bf16TileSpec,
    Bf16TileStimulus,
    no_response,
)

#: Moving clocks from the issue of a tile's last step to its first word, with an adder of one clock.
_ISSUE_TO_DRAIN = 4

Single = npt.NDArray[np.float32]


def run_reference(spec: Bf16TileSpec, stimulus: Bf16TileStimulus) -> Bf16TileResponse:
    """Outputs of one tile from reset, in each clock of `stimulus`.

    Time is counted in clocks in which the tile moves; what leaves is put into a calendar.
    """
    clocks = len(stimulus.a_valid)
    out = no_response(spec, clocks)
    powers = 1 << np.arange(spec.index_bits)
    acts, weights = _without_subnormals(stimulus.a_values), _without_subnormals(stimulus.w_values)
    sums: Single = np.zeros((spec.rows, spec.cols), np.float32)
    leaving: dict[int, tuple[npt.NDArray[np.uint16], bool]] = {}
    moment = 0  # moving clocks that are over
    room = 0  # moment from which a tile may end
    rested = 0  # moment from which a step may issue
    for t in range(clocks):
        shown = leaving.get(moment)
        if shown is not None:
            out.o_valid[t] = True
            out.o_values[t, : len(shown[0])], out.o_last[t] = shown
            if not stimulus.o_ready[t]:
                continue
        ends = bool(stimulus.w_tile_last[t])
        issues = stimulus.a_valid[t] and stimulus.w_valid[t] and moment >= rested
        if issues and not (ends and moment < room):
            out.w_ready[t] = True
            out.a_ready[t] = ends or stimulus.w_group_last[t]
            places = stimulus.w_indices[t].reshape(spec.cols, -1) @ powers
            with np.errstate(all="ignore"):
                products = acts[t].reshape(spec.rows, spec.group)[:, places] * weights[t]
                tiny = np.abs(products) < np.finfo(np.float32).tiny
                products = np.where(tiny, np.copysign(np.float32(0), products), products)
                sums = sums + np.where(stimulus.w_live[t], products, np.float32(0))
            rested = moment + spec.step_clocks
            if ends:
                room = moment + spec.tile_words
                first = moment + _ISSUE_TO_DRAIN + spec.step_clocks - 1 + spec.quant_latency
                for number in range(spec.tile_words):
                    row, part = divmod(number, spec.row_words)
                    low = part * spec.drain_results
                    word = _rounded(sums[row, low : low + spec.drain_results])
                    leaving[first + number] = (word, number == spec.tile_words - 1)
                sums = np.zeros_like(sums)
        moment += 1
    return out


def _without_subnormals(bits: npt.NDArray[np.uint16]) -> Single:
    wide = (bits.astype(np.uint32) << 16).view(np.float32)
    return np.where(
        np.abs(wide) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), wide), wide
    )


def _rounded(sums: Single) -> npt.NDArray[np.uint16]:
    """FP32 to BF16 bits: of the two neighbours the nearer one, the even one of two equally near."""
    bits = np.ascontiguousarray(sums).view(np.uint32).astype(np.int64)
    low, rest = bits >> 16, bits & 0xFFFF
    up = (rest > 0x8000) | ((rest == 0x8000) & (low & 1 == 1))
    return np.where(np.isnan(sums), 0x7FC0, low + up).astype(np.uint16)
