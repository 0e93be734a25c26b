"""Golden model of the SPU tile: whole tiles by NumPy, then the clocks in which they leave."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.s4.requantise import requantise
from sparsesim.machines.s4.spu_tile_ports import (
    SpuTileResponse,
    SpuTileSpec,
    SpuTileStimulus,
    no_response,
)

#: Moving clocks from the issue of a tile's last step to its first word in requantisation.
_ISSUE_TO_DRAIN = 4


def run_reference(spec: SpuTileSpec, stimulus: SpuTileStimulus) -> SpuTileResponse:
    """Outputs of one tile from reset, in each clock of `stimulus`.

    Time is counted in clocks in which the tile moves; what leaves is put into a calendar.
    """
    clocks = len(stimulus.a_valid)
    out = no_response(spec, clocks)
    powers = 1 << np.arange(spec.index_bits)
    operands: list[npt.NDArray[np.int64]] = []
    drained: dict[int, tuple[npt.NDArray[np.int32], int, int]] = {}
    leaving: dict[int, tuple[npt.NDArray[np.int8], bool]] = {}
    bias = np.zeros(spec.cols, np.int32)
    multiplier = np.zeros(spec.cols, np.int32)
    shift = np.zeros(spec.cols, np.int32)
    moment = 0  # moving clocks that are over
    room = 0  # moment from which a tile may end
    for t in range(clocks):
        shown = leaving.get(moment)
        if shown is not None:
            out.o_valid[t] = True
            out.o_values[t, : len(shown[0])], out.o_last[t] = shown
            if not stimulus.o_ready[t]:
                continue
        out.q_ready[t] = True
        if moment in drained:
            sums, row, low = drained.pop(moment)
            chosen = slice(low, min(low + spec.drain_results, spec.cols))
            result = _requantised(
                sums[row, chosen], bias[chosen], multiplier[chosen], shift[chosen]
            )
            least = 0 if stimulus.relu[t] else -128
            ends = row == spec.rows - 1 and chosen.stop == spec.cols
            leaving[moment + spec.quant_latency] = (
                np.clip(result, least, 127).astype(np.int8),
                ends,
            )
        ends_tile = bool(stimulus.w_tile_last[t])
        if stimulus.a_valid[t] and stimulus.w_valid[t] and not (ends_tile and moment < room):
            out.w_ready[t] = True
            out.a_ready[t] = ends_tile or stimulus.w_group_last[t]
            places = stimulus.w_indices[t].reshape(spec.cols, -1) @ powers
            acts = stimulus.a_values[t].reshape(spec.rows, spec.group)[:, places]
            operands.append(acts.astype(np.int64) * stimulus.w_values[t])
            if ends_tile:
                sums = np.sum(operands, axis=0).astype(np.int32)
                operands = []
                room = moment + spec.tile_words
                for number in range(spec.tile_words):
                    row, part = divmod(number, spec.row_words)
                    drained[moment + _ISSUE_TO_DRAIN + number] = (
                        sums,
                        row,
                        part * spec.drain_results,
                    )
        if stimulus.q_valid[t] and stimulus.q_column[t] < spec.cols:
            column = int(stimulus.q_column[t])
            bias[column] = np.uint32(stimulus.q_bias[t]).astype(np.int32)
            multiplier[column] = np.uint16(stimulus.q_multiplier[t]).astype(np.int16)
            shift[column] = stimulus.q_shift[t]
        moment += 1
    return out


def _requantised(
    sums: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    """As `requantise`, and a shift of 0, which it does not have."""
    plain = np.clip((sums.astype(np.int64) + bias) * multiplier, -128, 127)
    return np.where(
        shift == 0, plain, requantise(sums, bias, multiplier, np.maximum(shift, 1), False)
    )
