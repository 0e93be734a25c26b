"""A lane of the weight update engine (WUVE), register by register, clock by clock.

For each element, each operation rounded once to FP32 (to nearest even, NaN canonical):

    d  = g + c w          g widened from FP16; c = `decay_pruned` of a masked weight, else `decay`
    v' = momentum v + d
    w' = w - learning_rate v'
    h  = w' rounded once to FP16

That is SGD with momentum and weight decay (no dampening, no Nesterov term); with `decay_pruned` =
weight decay + lambda it is SR-STE, whose masked weights decay by lambda more.

Clock behaviour: the lane is one rigid pipeline of `lane_latency` registers. It steps in every
clock in which its output is empty or taken (`o_ready`), and takes an element in each such clock
(`i_ready`); bubbles are carried along. So an element taken in clock t stands on the output in clock
t + lane_latency if nothing stalls, one element per clock. The four settings are read where they
are used: `momentum` and the decays by the element that enters, `learning_rate` by the one that
entered mul_latency + 2 add_latency steps before; they must stand still while elements are inside.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.pe_grid import CANONICAL_NAN
from sparsesim.machines.sat.update_lane_ports import (
    UpdateLaneSpec,
    UpdateResponse,
    UpdateStimulus,
)

Float = npt.NDArray[np.float32]

_HALF_NAN = 0x7E00
_HALF_INFINITY = 0x7C00


def lane_latency(spec: UpdateLaneSpec) -> int:
    """Clocks from an element on the input to its result on the output, never stalled."""
    return 2 * spec.mul_latency + 3 * spec.add_latency + 1


def stream_clocks(spec: UpdateLaneSpec, elements: int) -> int:
    """Clocks from the first element in to the last result out, never stalled."""
    return elements + lane_latency(spec)


def run_update_lane(spec: UpdateLaneSpec, stimulus: UpdateStimulus) -> UpdateResponse:
    """Outputs of one lane from reset, in each clock of `stimulus`."""
    clocks = len(stimulus.i_valid)
    response = UpdateResponse(
        i_ready=np.zeros(clocks, np.bool_),
        o_valid=np.zeros(clocks, np.bool_),
        o_weight=np.zeros(clocks, np.uint32),
        o_velocity=np.zeros(clocks, np.uint32),
        o_half=np.zeros(clocks, np.uint16),
    )
    _run(
        spec.mul_latency,
        spec.add_latency,
        stimulus.i_valid,
        stimulus.i_gradient.view(np.float16).astype(np.float32),
        stimulus.i_weight.view(np.float32),
        stimulus.i_velocity.view(np.float32),
        stimulus.i_pruned,
        stimulus.learning_rate.view(np.float32),
        stimulus.momentum.view(np.float32),
        stimulus.decay.view(np.float32),
        stimulus.decay_pruned.view(np.float32),
        stimulus.o_ready,
        response,
    )
    return response


@njit(cache=True)
def _run(
    mul_latency: int,
    add_latency: int,
    valid: npt.NDArray[np.bool_],
    gradient: Float,
    weight: Float,
    velocity: Float,
    pruned: npt.NDArray[np.bool_],
    learning_rate: Float,
    momentum: Float,
    decay: Float,
    decay_pruned: Float,
    ready: npt.NDArray[np.bool_],
    response: UpdateResponse,
) -> None:
    to_gradient = mul_latency  # when the decay product meets the gradient
    to_velocity = to_gradient + add_latency
    to_rate = to_velocity + add_latency
    to_weight = to_rate + mul_latency
    latency = to_weight + add_latency + 1
    # Lines of registers: what enters at step s is read, before it is overwritten, `depth` later.
    inside = np.zeros(latency, np.bool_)
    gradients = np.zeros(to_gradient, np.float32)
    decayed = np.zeros(mul_latency, np.float32)
    descents = np.zeros(add_latency, np.float32)
    carried = np.zeros(to_velocity, np.float32)  # momentum x velocity, waiting for the descent
    velocities = np.zeros(add_latency, np.float32)
    changes = np.zeros(mul_latency, np.float32)
    weights = np.zeros(to_weight, np.float32)
    updated = np.zeros(add_latency, np.float32)
    new_velocities = np.zeros(latency - 1 - to_rate, np.float32)
    out_weight = np.zeros(1, np.float32)
    out_velocity = np.zeros(1, np.float32)
    step = 0
    for clock in range(valid.size):
        shown = inside[step % latency]
        response.o_valid[clock] = shown
        if shown:
            bits = out_weight.view(np.uint32)[0]
            response.o_weight[clock] = bits
            response.o_velocity[clock] = out_velocity.view(np.uint32)[0]
            response.o_half[clock] = half_bits(bits)
        moves = ready[clock] or not shown
        response.i_ready[clock] = moves
        if not moves:
            continue

        # From the output back to the input: each stage reads what the one before held.
        out_weight[0] = updated[step % add_latency]
        out_velocity[0] = new_velocities[step % new_velocities.size]
        updated[step % add_latency] = _one_nan(
            weights[step % to_weight] - changes[step % mul_latency]
        )
        new_velocity = velocities[step % add_latency]
        new_velocities[step % new_velocities.size] = new_velocity
        changes[step % mul_latency] = _one_nan(learning_rate[clock] * new_velocity)
        velocities[step % add_latency] = _one_nan(
            carried[step % to_velocity] + descents[step % add_latency]
        )
        descents[step % add_latency] = _one_nan(
            gradients[step % to_gradient] + decayed[step % mul_latency]
        )
        gradients[step % to_gradient] = gradient[clock]
        coefficient = decay_pruned[clock] if pruned[clock] else decay[clock]
        decayed[step % mul_latency] = _one_nan(coefficient * weight[clock])
        carried[step % to_velocity] = _one_nan(momentum[clock] * velocity[clock])
        weights[step % to_weight] = weight[clock]
        inside[step % latency] = valid[clock]
        step += 1


@njit(cache=True)
def _one_nan(value: np.float32) -> np.float32:
    return value if value == value else CANONICAL_NAN


@njit(cache=True)
def half_bits(bits: int) -> int:
    """FP32 bits as FP16 bits: rounded once to nearest even, overflow to infinity, NaN canonical."""
    sign = (bits >> 16) & 0x8000
    magnitude = bits & 0x7FFFFFFF
    if magnitude > 0x7F800000:
        return _HALF_NAN
    exponent = (magnitude >> 23) - 112
    if exponent > 30:
        return sign | _HALF_INFINITY
    significand = magnitude & 0x7FFFFF
    dropped = 13
    if exponent < 1:  # subnormal: the hidden one is written out, and places are lost
        significand |= 0x800000
        dropped += min(1 - exponent, 12)
        exponent = 0
    kept = (exponent << 10) + (significand >> dropped)
    rest = significand & ((1 << dropped) - 1)
    tie = 1 << (dropped - 1)
    if rest > tie or (rest == tie and kept & 1):
        kept += 1
    return sign | kept
