"""Double-buffered blocks against one DRAM stream: load, compute, store, clock by clock and fast.

Steps are computed in order. The input buffer has two halves, so step s may be loaded once step
s - 2 is computed. Results gather in an output buffer of two halves, one per *result group* (a run
of steps that end in one store); group g may start once the store of group g - 2 has left. One
DMA engine serves requests in program order: load 0, load 1, store after step 0 (if any), load 2,
store after step 1, ... Data of a transfer arrive `latency` clocks after the transfer ends; a store
has landed as much later.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt
from numba import njit

#: Columns of an outcome: total clocks, clocks the compute engine waited for the output buffer,
#: and for memory (data not there yet, or the last write-back landing).
TOTAL, WAIT_OUTPUT, WAIT_MEMORY = range(3)

Numbers = npt.NDArray[np.int64]


@njit(cache=True)
def transfer_clocks(size: int, bytes_per_clock: float) -> int:
    """Whole clocks that `size` bytes take at `bytes_per_clock`."""
    return ceil(size / bytes_per_clock)


@njit(cache=True)
def fast(
    load_bytes: Numbers,
    compute_clocks: Numbers,
    store_bytes: Numbers,
    bytes_per_clock: float,
    latency: int,
) -> Numbers:
    """Outcome (3,) of S steps by recurrence; equal to `stepped`.

    Args:
        load_bytes, compute_clocks, store_bytes: (S,) each; a store ends a result group.
        bytes_per_clock: of the DRAM stream.
        latency: clocks from the end of a transfer to its data.
    """
    outcome = np.zeros(3, np.int64)
    dma_free = 0
    computed, computed_before = 0, 0  # ends of steps s - 1 and s - 2
    stored, stored_before = 0, 0  # when the stores of groups g - 1 and g - 2 have left
    landed = 0
    group_start = True
    for s in range(load_bytes.size):
        arrived = 0
        if load_bytes[s] > 0:
            start = max(dma_free, computed_before)
            dma_free = start + transfer_clocks(load_bytes[s], bytes_per_clock)
            arrived = dma_free + latency
        if s > 0 and store_bytes[s - 1] > 0:
            start = max(dma_free, computed)
            dma_free = start + transfer_clocks(store_bytes[s - 1], bytes_per_clock)
            stored_before, stored = stored, dma_free
            landed = dma_free + latency
        room = stored_before if group_start else 0
        begin = max(computed, arrived, room)
        waited_output = max(0, room - computed)
        outcome[WAIT_OUTPUT] += waited_output
        outcome[WAIT_MEMORY] += begin - computed - waited_output
        computed_before, computed = computed, begin + compute_clocks[s]
        group_start = store_bytes[s] > 0
    if store_bytes[-1] > 0:
        dma_free = max(dma_free, computed) + transfer_clocks(store_bytes[-1], bytes_per_clock)
        landed = dma_free + latency
    outcome[TOTAL] = max(computed, landed)
    outcome[WAIT_MEMORY] += outcome[TOTAL] - computed
    return outcome


@njit(cache=True)
def stepped(
    load_bytes: Numbers,
    compute_clocks: Numbers,
    store_bytes: Numbers,
    bytes_per_clock: float,
    latency: int,
) -> Numbers:
    """The same outcome by advancing DMA and compute engine one clock at a time."""
    steps = load_bytes.size
    outcome = np.zeros(3, np.int64)
    # Program of the DMA: 2 s = load of step s, 2 s + 1 = store after step s - 1.
    program = 0
    dma_left = 0
    dma_busy = False
    arrived_at = np.full(steps, -1, np.int64)  # clock from which data are there; -1 not yet
    for s in range(steps):
        if load_bytes[s] == 0:
            arrived_at[s] = 0
    stores_left = 0  # stores that have left the output buffer
    groups_before = np.zeros(steps, np.int64)  # complete result groups before each step
    for s in range(1, steps):
        groups_before[s] = groups_before[s - 1] + (store_bytes[s - 1] > 0)
    computed = 0  # steps completely computed
    computing = False
    compute_left = 0
    landed_at = 0
    clock = 0
    while True:
        # Compute engine: finish first, then start, so that back-to-back steps leave no gap.
        if computing and compute_left == 0:
            computing = False
            computed += 1
        while not computing and computed < steps:
            s = computed
            starts_group = s == 0 or store_bytes[s - 1] > 0
            room = not starts_group or stores_left >= groups_before[s] - 1
            data = arrived_at[s] >= 0 and clock >= arrived_at[s]
            if not (room and data):
                break
            if compute_clocks[s] == 0:
                computed += 1
            else:
                computing, compute_left = True, compute_clocks[s]
        # DMA: start the next transfer of the program as soon as its condition holds.
        while not dma_busy and program <= 2 * steps:
            s = program // 2
            if program % 2 == 0:
                size = load_bytes[s] if s < steps else 0
                ready = s < 2 or computed >= s - 1
            else:
                size = store_bytes[s - 1] if s > 0 else 0
                ready = computed >= s
            if program == 2 * steps:  # the last store follows no load
                size = store_bytes[steps - 1]
                ready = computed >= steps
            if size == 0:
                program += 1
                continue
            if not ready:
                break
            dma_busy, dma_left = True, transfer_clocks(size, bytes_per_clock)
        if computed == steps and not dma_busy and program > 2 * steps and clock >= landed_at:
            outcome[TOTAL] = clock
            return outcome
        # One clock passes.
        if computing:
            compute_left -= 1
        elif computed < steps:
            s = computed
            starts_group = s == 0 or store_bytes[s - 1] > 0
            if starts_group and stores_left < groups_before[s] - 1:
                outcome[WAIT_OUTPUT] += 1
            else:
                outcome[WAIT_MEMORY] += 1
        else:
            outcome[WAIT_MEMORY] += 1
        clock += 1
        if dma_busy:
            dma_left -= 1
            if dma_left == 0:
                dma_busy = False
                if program % 2 == 0 and program < 2 * steps:
                    arrived_at[program // 2] = clock + latency
                else:
                    stores_left += 1
                    landed_at = clock + latency
                program += 1
