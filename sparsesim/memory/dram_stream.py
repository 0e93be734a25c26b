"""A stream of requests against a DRAM channel, with at most so many outstanding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.memory import dram
from sparsesim.memory.dram_spec import DramChannel

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StreamResult:
    """What a stream of N requests met.

    Attributes:
        spec: the channel.
        accepted, finished: (N,) clocks in which each was accepted, and its last data passed.
        commands: (commands, 4) clock, command, bank and row of each, if they were recorded.
        counters: reads, writes, activates, precharges, refreshes, row hits, data clocks.
    """

    spec: DramChannel
    accepted: Numbers
    finished: Numbers
    commands: Numbers
    counters: dict[str, int]

    @property
    def cycles(self) -> int:
        """Clocks from the first request to the last data, counted from 1."""
        return int(self.finished.max()) + 1

    @property
    def latency(self) -> float:
        """Mean clocks from acceptance to the last data."""
        return float((self.finished - self.accepted).mean())

    @property
    def bytes_per_second(self) -> float:
        seconds = self.cycles / self.spec.clock_hz
        return self.accepted.size * self.spec.access_bytes / seconds


_COMMANDS_PER_REQUEST = 4
_COUNTERS = {
    "reads": dram.READS,
    "writes": dram.WRITES,
    "activates": dram.ACTIVATES,
    "precharges": dram.PRECHARGES,
    "refreshes": dram.REFRESHES,
    "row_hits": dram.ROW_HITS,
    "data_clocks": dram.DATA_CLOCKS,
}


def run_stream(
    spec: DramChannel,
    lines: Numbers,
    writes: Flags | None = None,
    *,
    window: int = 0,
    arrivals: Numbers | None = None,
    record: bool = False,
) -> StreamResult:
    """Send requests in order, one per clock at most, as soon as window and queue allow.

    Args:
        lines: (N,) addresses in units of a burst.
        writes: (N,) which are writes; none by default.
        window: requests outstanding at most; 0 for no limit. One that is finished in clock c
            makes room for one that is accepted in clock c + 1.
        arrivals: (N,) clocks before which a request is not sent, rising; none by default.
        record: keep every command.
    """
    state = dram.new_channel(spec, _COMMANDS_PER_REQUEST * lines.size + 10**4 if record else 0)
    accepted = np.empty(lines.size, np.int64)
    finished = np.empty(lines.size, np.int64)
    flags = np.zeros(lines.size, np.bool_) if writes is None else writes
    earliest = np.zeros(lines.size, np.int64) if arrivals is None else arrivals
    _run(state, lines, flags, window, earliest, accepted, finished)
    counters = {name: int(state[place]) for name, place in _COUNTERS.items()}
    return StreamResult(spec, accepted, finished, dram.commands(state), counters)


@njit(cache=True, _nrt=False)
def _run(state, lines, writes, window, arrivals, accepted, finished):  # type: ignore[no-untyped-def]
    outstanding = 0  # accepted, and not known to be finished by then
    clock = 0  # in which the next request may be accepted
    for number in range(lines.size):
        clock = max(clock, arrivals[number])
        while window > 0 and outstanding >= window:
            request = dram.pop(state)
            if request >= 0:
                finished[request] = state[dram.POPPED_AT]
                clock = max(clock, state[dram.POPPED_AT] + 1)
                outstanding -= 1
            else:
                dram.advance(state, dram.NEVER)
        if state[dram.BEST_CLOCK] < clock or state[dram.REFRESH_DUE] < clock:
            dram.step(state, clock - 1)
        while state[dram.FREE] < 0:
            dram.advance(state, dram.NEVER)
            clock = max(clock, state[dram.LAST_COMMAND] + 1)
        if window == 0 and not dram.has_room(state):
            _collect(state, finished)
        accepted[number] = clock
        dram.push(state, clock, lines[number], writes[number], number)
        outstanding += 1
        clock += 1
    while state[dram.QUEUED] > 0:
        dram.advance(state, dram.NEVER)
    _collect(state, finished)


@njit(cache=True, _nrt=False)
def _collect(state, finished):  # type: ignore[no-untyped-def]
    while True:
        request = dram.pop(state)
        if request < 0:
            return
        finished[request] = state[dram.POPPED_AT]
