"""The N:M sorter lane (SORE), register by register, clock by clock.

Clock behaviour:

- one value is taken per clock; a group of M values takes M clocks, and the next group follows
  without a bubble;
- with the last value of a group taken in clock t, its N kept values stand on the output in clocks
  t+1 to t+N, in ascending position, one per clock while `o_ready` is high;
- the last value of a group is refused (`i_ready` low) as long as more than one kept value of the
  group before is waiting, or one that is not taken in the same clock. Since N <= M, that never
  happens while `o_ready` is high.

So G groups streamed without stalls occupy the input for G M clocks and the lane for
`stream_clocks` from the first value in to the last value out.

Order: by magnitude, that is by the bits without the sign as a whole number; equal magnitudes (+0
and -0 too) by position, the lower first. Infinity ranks above all numbers and a NaN above infinity:
both are kept, and every kept value leaves bit for bit as it came.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.machines.sat.sorter_ports import SorterResponse, SorterSpec, SorterStimulus

_EMPTY = -1


def stream_clocks(groups: int, group: int, kept: int) -> int:
    """Clocks from the first value in to the last value out of `groups` groups, never stalled."""
    return groups * group + kept


def run_sorter(spec: SorterSpec, stimulus: SorterStimulus) -> SorterResponse:
    """Outputs of one lane from reset, in each clock of `stimulus`."""
    clocks = len(stimulus.i_valid)
    response = SorterResponse(
        i_ready=np.zeros(clocks, np.bool_),
        o_valid=np.zeros(clocks, np.bool_),
        o_value=np.zeros(clocks, np.uint16),
        o_index=np.zeros(clocks, np.int64),
        o_last=np.zeros(clocks, np.bool_),
    )
    _run(spec.m_max, spec.n_max, stimulus, response)
    return response


@njit(cache=True)
def _run(m_max: int, n_max: int, stimulus: SorterStimulus, response: SorterResponse) -> None:
    # The sorter: entries in descending order.
    held_value = np.zeros(n_max, np.uint16)
    held_index = np.full(n_max, _EMPTY, np.int64)
    position = 0
    # The compactor: kept values of the group before, by position.
    waiting = np.zeros(m_max, np.bool_)
    waiting_value = np.zeros(m_max, np.uint16)
    for clock in range(stimulus.i_valid.size):
        left = 0
        first = 0
        for index in range(m_max - 1, -1, -1):
            if waiting[index]:
                left += 1
                first = index
        if left:
            response.o_valid[clock] = True
            response.o_value[clock] = waiting_value[first]
            response.o_index[clock] = first
            response.o_last[clock] = left == 1
        taken = left > 0 and stimulus.o_ready[clock]
        ends = stimulus.i_last[clock] or position == m_max - 1
        ready = not ends or left == 0 or (left == 1 and taken)
        response.i_ready[clock] = ready

        if taken:
            waiting[first] = False
        if not (stimulus.i_valid[clock] and ready):
            continue
        _insert(held_value, held_index, stimulus.i_value[clock], position)
        position += 1
        if ends:
            for entry in range(min(n_max, stimulus.keep[clock])):
                if held_index[entry] != _EMPTY:
                    waiting[held_index[entry]] = True
                    waiting_value[held_index[entry]] = held_value[entry]
            held_index[:] = _EMPTY
            position = 0


@njit(cache=True)
def _insert(
    held_value: npt.NDArray[np.uint16],
    held_index: npt.NDArray[np.int64],
    value: np.uint16,
    position: int,
) -> None:
    """Put a value before the first entry of smaller magnitude; the last entry drops out."""
    entries = held_value.size
    place = 0
    while (
        place < entries
        and held_index[place] != _EMPTY
        and (held_value[place] & 0x7FFF) >= (value & 0x7FFF)
    ):
        place += 1
    if place == entries:
        return
    for entry in range(entries - 1, place, -1):
        held_value[entry] = held_value[entry - 1]
        held_index[entry] = held_index[entry - 1]
    held_value[place] = value
    held_index[place] = position
