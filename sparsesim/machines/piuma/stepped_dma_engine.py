"""The DMA engine of a core with its ports, register by register, clock by clock.

The engine moves words from its core's scratchpad to any address, as the descriptors say that
stand in its queue: `isa.DMA_MODES` with scatter and gather through positions in the scratchpad.
A beat of up to `beat_words` words leaves in clock t. Its positions are read in t (words arrive in
t + 1), its words in t + 1 (t + 2), and it stands on `o` from t + 3 on until it is taken. While a
beat stands there and is not taken, no beat leaves and those on their way stand still; memories
hold what they have read while they are not enabled.

When beats leave is the rule of the machine's engine (`stepped`): the first `start_cycles` after
its descriptor came to an engine without one, another `beat_cycles` after the one before, and none
before the beat `outstanding` before it is done; between descriptors that wait for each other
`start_cycles` more. `done` frees slots from the next clock on: the machine's clock of
arrival is the clock after. An empty descriptor is taken and dropped. A descriptor is taken in the
clock in which the last beat of another makes room.

Addresses wrap; that they lie in memory is checked by who hands the descriptor over. Descriptors
that read other than the scratchpad are not for this unit. A beat does not see what beats less than
three clocks before it write.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma.dma_engine_ports import (
    DmaEngineResponse,
    DmaEngineSpec,
    DmaEngineStimulus,
    Words,
    no_response,
)

_MASK = np.int64(2**32 - 1)
#: Fields of a descriptor.
_MODE, _SOURCE, _GOAL, _LEFT, _ARG, _TAG = range(6)


def run_dma_engine(
    spec: DmaEngineSpec, stimulus: DmaEngineStimulus, words: Words | None = None
) -> DmaEngineResponse:
    """Outputs of one engine from reset, in each clock of `stimulus`.

    With `words`, the memory, the engine reads those instead of `x_data` and `r_data` and what it
    reads is written to these two; a beat that is taken is written to `words`.
    """
    response = no_response(spec, len(stimulus.d_valid))
    _run(
        spec.queue,
        spec.start_cycles,
        spec.beat_words,
        spec.beat_cycles,
        spec.outstanding,
        stimulus,
        response,
        np.zeros(0, np.uint64) if words is None else words,
    )
    return response


@njit(cache=True)
def _run(
    queue: int,
    start_cycles: int,
    lanes: int,
    beat_cycles: int,
    outstanding: int,
    stimulus: DmaEngineStimulus,
    response: DmaEngineResponse,
    words: Words,
) -> None:
    # Descriptors in the queue; the one at work, whose fields move on from beat to beat.
    waiting = np.zeros((queue, 6), np.int64)
    work = np.zeros(6, np.int64)
    head, count = 0, 0
    wait, restart = 0, False
    slot = 0
    in_flight = np.zeros(outstanding, np.bool_)
    # A beat (a) whose positions and then one (b) whose words are on their way; the output (o).
    a_valid, a_lanes, a_slot, a_last = False, 0, 0, False
    a_work = np.zeros(6, np.int64)
    b_valid, b_lanes, b_slot, b_last, b_tag = False, 0, 0, False, np.int64(0)
    b_fills, b_value = False, np.uint64(0)
    b_to = np.zeros(lanes, np.int64)
    o_valid, o_lanes, o_slot, o_last, o_tag = False, 0, 0, False, np.int64(0)
    o_to = np.zeros(lanes, np.int64)
    o_data = np.zeros(lanes, np.uint64)
    # What the memory's read ports hold.
    x_held = np.zeros(lanes, np.uint64)
    r_held = np.zeros(lanes, np.uint64)
    for clock in range(stimulus.d_valid.size):
        if words.size:
            stimulus.x_data[clock] = x_held
            stimulus.r_data[clock] = r_held
        response.idle[clock] = count == 0 and not in_flight.any()
        if o_valid:
            response.o_valid[clock] = True
            response.o_lanes[clock] = o_lanes
            response.o_slot[clock] = o_slot
            response.o_last[clock] = o_last
            response.o_tag[clock] = o_tag
            for lane in range(o_lanes):
                response.o_address[clock, lane] = o_to[lane]
                response.o_data[clock, lane] = o_data[lane]
        moves = not o_valid or stimulus.o_ready[clock]
        free = not in_flight[slot]
        leaves = moves and count > 0 and wait == 0 and not restart and free
        ends = leaves and work[_LEFT] <= lanes
        ready = count < queue or ends
        response.d_ready[clock] = ready
        comes = ready and stimulus.d_valid[clock] and stimulus.d_count[clock] > 0

        if moves:
            if o_valid and words.size:
                for lane in range(o_lanes):
                    words[o_to[lane]] = o_data[lane]
            # What was read becomes the beat on the output.
            o_valid = b_valid
            if b_valid:
                o_lanes, o_slot, o_last, o_tag = b_lanes, b_slot, b_last, b_tag
                for lane in range(b_lanes):
                    o_to[lane] = b_to[lane]
                    o_data[lane] = b_value if b_fills else stimulus.r_data[clock, lane]
            # Positions have come: the words are read.
            b_valid = a_valid
            if a_valid:
                mode, arg = a_work[_MODE], a_work[_ARG]
                b_fills = mode == isa.DMA_FILL or mode == isa.DMA_SCATTER_FILL
                b_value = np.uint64(a_work[_SOURCE])
                b_lanes, b_slot, b_last, b_tag = a_lanes, a_slot, a_last, a_work[_TAG]
                response.r_read[clock] = not b_fills
                for lane in range(a_lanes):
                    position = np.int64(stimulus.x_data[clock, lane])
                    a, to = a_work[_SOURCE] + lane, a_work[_GOAL] + lane
                    if mode == isa.DMA_GATHER:
                        a = a_work[_SOURCE] + position
                    elif mode == isa.DMA_SCATTER or mode == isa.DMA_SCATTER_FILL:
                        to = a_work[_GOAL] + position
                    elif mode == isa.DMA_STRIDE_IN:
                        a = a_work[_SOURCE] + lane * arg
                    elif mode == isa.DMA_STRIDE_OUT:
                        to = a_work[_GOAL] + lane * arg
                    b_to[lane] = to & _MASK
                    if not b_fills:
                        response.r_address[clock, lane] = a & _MASK
                        if words.size:
                            r_held[lane] = words[a & _MASK]
            a_valid = leaves
        if leaves:
            a_work[:] = work
            a_lanes, a_slot, a_last = min(work[_LEFT], lanes), slot, ends
            mode, arg = work[_MODE], work[_ARG]
            if mode == isa.DMA_GATHER or mode == isa.DMA_SCATTER or mode == isa.DMA_SCATTER_FILL:
                response.x_read[clock] = True
                for lane in range(a_lanes):
                    response.x_address[clock, lane] = (arg + lane) & _MASK
                    if words.size:
                        x_held[lane] = words[(arg + lane) & _MASK]
                work[_ARG] += lanes
            if mode == isa.DMA_COPY or mode == isa.DMA_SCATTER or mode > isa.DMA_SCATTER_FILL:
                work[_SOURCE] += lanes * (arg if mode == isa.DMA_STRIDE_IN else 1)
            if mode != isa.DMA_SCATTER and mode != isa.DMA_SCATTER_FILL:
                work[_GOAL] += lanes * (arg if mode == isa.DMA_STRIDE_OUT else 1)
            work[_LEFT] -= lanes

        # When the next beat may leave.
        if wait > 0:
            wait -= 1
        elif restart and free:
            restart, wait = False, start_cycles - 1
        for one in range(outstanding):
            if stimulus.done[clock, one]:
                in_flight[one] = False
        if leaves:
            wait = beat_cycles - 1
            in_flight[slot] = True
            slot = (slot + 1) % outstanding
        if ends:
            count -= 1
            head = (head + 1) % queue
            restart = count > 0
            work[:] = waiting[head]
        if comes:
            place = (head + count) % queue
            waiting[place, _MODE] = stimulus.d_mode[clock]
            waiting[place, _SOURCE] = np.int64(stimulus.d_source[clock, 0])
            waiting[place, _GOAL] = stimulus.d_goal[clock]
            waiting[place, _LEFT] = stimulus.d_count[clock]
            waiting[place, _ARG] = stimulus.d_arg[clock]
            waiting[place, _TAG] = stimulus.d_tag[clock]
            if count == 0:
                work[:] = waiting[place]
                wait, restart = start_cycles - 1, False
            count += 1
