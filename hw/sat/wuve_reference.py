"""The rules of the update lane in plain NumPy: all elements at once, then when each is seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.update_lane_ports import (
    UpdateLaneSpec,
    UpdateResponse,
    UpdateStimulus,
)

Float = npt.NDArray[np.float32]


def canonical(values: Float) -> Float:
    """Every NaN as 0x7FC00000."""
    return np.where(np.isnan(values), np.uint32(0x7FC00000).view(np.float32), values)


def updated(
    gradient: npt.NDArray[np.float16],
    weight: Float,
    velocity: Float,
    decay: Float,
    momentum: Float,
    learning_rate: Float,
) -> tuple[Float, Float, npt.NDArray[np.uint16]]:
    """New weights, new velocities (FP32) and the weights as FP16 bits, element by element."""
    with np.errstate(all="ignore"):
        descent = canonical(gradient.astype(np.float32) + canonical(decay * weight))
        velocity = canonical(canonical(momentum * velocity) + descent)
        weight = canonical(weight - canonical(learning_rate * velocity))
        half = np.where(np.isnan(weight), np.uint16(0x7E00), weight.astype(np.float16).view("u2"))
    return weight, velocity, half


def run_reference(spec: UpdateLaneSpec, stimulus: UpdateStimulus) -> UpdateResponse:
    """Respond to a stimulus from reset."""
    latency = 2 * spec.mul_latency + 3 * spec.add_latency + 1
    clocks = len(stimulus.i_valid)
    # Which clocks move the lane: what is on the output moved in `latency` moves ago.
    moves: list[int] = []
    ready = np.zeros(clocks, np.bool_)
    valid = np.zeros(clocks, np.bool_)
    source = np.zeros(clocks, np.int64)  # clock in which the element on the output entered
    rate_clock = np.zeros(clocks, np.int64)  # clock in which it took its learning rate
    for clock in range(clocks):
        if len(moves) >= latency:
            source[clock] = moves[len(moves) - latency]
            rate_clock[clock] = moves[len(moves) - spec.mul_latency - spec.add_latency - 1]
            valid[clock] = stimulus.i_valid[source[clock]]
        ready[clock] = stimulus.o_ready[clock] or not valid[clock]
        if ready[clock]:
            moves.append(clock)

    decay = np.where(stimulus.i_pruned, stimulus.decay_pruned, stimulus.decay)
    weight, velocity, half = updated(
        stimulus.i_gradient[source].view(np.float16),
        stimulus.i_weight[source].view(np.float32),
        stimulus.i_velocity[source].view(np.float32),
        decay[source].view(np.float32),
        stimulus.momentum[source].view(np.float32),
        stimulus.learning_rate[rate_clock].view(np.float32),
    )
    return UpdateResponse(
        i_ready=ready,
        o_valid=valid,
        o_weight=np.where(valid, weight.view(np.uint32), 0).astype(np.uint32),
        o_velocity=np.where(valid, velocity.view(np.uint32), 0).astype(np.uint32),
        o_half=np.where(valid, half, 0).astype(np.uint16),
    )
