"""One USPE, clock by clock, under any stimulus: the stepped core as a 1 x 1 grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.pe_grid import (
    ACC_SHIFT,
    FIRST,
    LAST,
    MAC,
    NO_DRAIN,
    NO_LOAD,
    OS_MODE,
    SLOT_SHIFT,
    EdgeHistory,
    Grid,
    advance,
    capture_weights,
    commit_sums,
    edge_padding,
    new_grid,
    south_word,
)
from sparsesim.machines.sat.spec import UspeSpec
from sparsesim.machines.sat.uspe_ports import UspeResponse, UspeStimulus

_SKEW = 0  # one row has no neighbour to lag behind


def run_uspe(spec: UspeSpec, stimulus: UspeStimulus) -> UspeResponse:
    """Outputs of one USPE in each clock of `stimulus` (docs/sat.md section 1)."""
    grid = new_grid(1, 1, spec.n_max, spec.interleave, spec.mul_latency, spec.add_latency)
    enabled = np.flatnonzero(stimulus.en)
    edge = _edge_history(spec, stimulus, enabled, edge_padding(grid, _SKEW))
    visible = _p_outputs(
        grid,
        edge,
        edge_padding(grid, _SKEW),
        stimulus.p_value[enabled].view(np.float32),
        stimulus.p_valid[enabled],
    )
    # Registers hold through frozen clocks: clock t shows what `seen[t]` enabled clocks have made.
    seen = np.concatenate(([0], np.cumsum(stimulus.en)[:-1])).astype(np.int64)

    def delayed(port: npt.NDArray[Any]) -> npt.NDArray[Any]:
        reset = np.zeros((1, *port.shape[1:]), port.dtype)
        return np.concatenate((reset, port[enabled]))[seen]

    w_row, w_load = delayed(stimulus.w_row), delayed(stimulus.w_load)
    return UspeResponse(
        a=delayed(stimulus.a),
        op_mac=delayed(stimulus.op_mac),
        op_drain=delayed(stimulus.op_drain),
        op_first=delayed(stimulus.op_first),
        op_last=delayed(stimulus.op_last),
        op_os=delayed(stimulus.op_os),
        op_slot=delayed(stimulus.op_slot),
        op_acc=delayed(stimulus.op_acc),
        w_load=w_load & (w_row > 0),
        w_row=np.where(w_load & (w_row > 0), w_row - 1, w_row),
        w_slot=delayed(stimulus.w_slot),
        w_value=delayed(stimulus.w_value),
        w_index=delayed(stimulus.w_index),
        p_valid=visible[0][seen],
        p_value=visible[1][seen].view(np.uint32),
    )


def _edge_history(
    spec: UspeSpec, stimulus: UspeStimulus, enabled: npt.NDArray[np.int64], padding: int
) -> EdgeHistory:
    code = (
        np.where(stimulus.op_mac, MAC, 0)
        | np.where(stimulus.op_first, FIRST, 0)
        | np.where(stimulus.op_last, LAST, 0)
        | np.where(stimulus.op_os, OS_MODE, 0)
        | (stimulus.op_slot << SLOT_SHIFT)
        | (stimulus.op_acc << ACC_SHIFT)
    )[enabled]
    steps = enabled.size

    def history(values: npt.NDArray[np.generic], nothing: int) -> npt.NDArray[np.int32]:
        # One nothing more at the end: the step that shows what the last clock has made.
        return np.pad(values.astype(np.int32), (padding, 1), constant_values=np.int32(nothing))

    own = np.arange(steps)
    loads = stimulus.w_load[enabled]
    return EdgeHistory(
        operation=history(code, 0),
        block=history(own * spec.m_max, 0).astype(np.int64),
        drain=history(
            np.where(stimulus.op_drain[enabled], stimulus.op_acc[enabled], NO_DRAIN), NO_DRAIN
        ),
        stream=history(own, 0),
        load_row=history(np.where(loads, stimulus.w_row[enabled], NO_LOAD), NO_LOAD),
        load_slot=history(stimulus.w_slot[enabled], 0),
        load_from=history(own, 0),
        activations=np.append(
            stimulus.a[enabled].view(np.float16).astype(np.float32).ravel(), np.float32(0.0)
        ),
        row_offset=np.zeros(1, np.int64),
        weights=stimulus.w_value[enabled].view(np.float16).astype(np.float32).reshape(-1, 1),
        indices=stimulus.w_index[enabled].astype(np.int32).reshape(-1, 1),
    )


@njit(cache=True)
def _p_outputs(
    grid: Grid,
    edge: EdgeHistory,
    padding: int,
    p_value: npt.NDArray[np.float32],
    p_valid: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    steps = p_value.shape[0]
    valid = np.zeros(steps + 1, np.bool_)
    value = np.zeros(steps + 1, np.float32)
    for step in range(steps + 1):
        commit_sums(grid, edge, padding + step, 0, step)
        valid[step] = south_word(grid, value[step : step + 1])
        if step < steps:
            grid.passing[0, 0] = p_value[step]
            grid.passing_valid[0] = p_valid[step]
            advance(grid, edge, padding + step, 0, 0, step)
            capture_weights(grid, edge, padding + step)
    return valid, value
