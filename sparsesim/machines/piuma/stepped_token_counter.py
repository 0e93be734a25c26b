"""The token counter (queue engine) with its ports, clock by clock.

Each queue holds a range of whole numbers. A request taken in clock t keeps the counter for
`queue_cycles` clocks; in clock t + queue_cycles its response stands on the output until it is
taken, and the next request may be taken in the clock in which the response is. So no token is
handed out twice. POP gives the next number of a queue, or -1 where it is used up; QSET gives a
queue the numbers first, first + 1, ... last - 1 (signed) and answers 0. After reset all queues are
empty. What `queue_latency` has beyond `queue_cycles` is the way to the counter and back.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from pydantic import Field

from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.machines.piuma.state import QUEUES_PER_CORE
from sparsesim.validation import Record

Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class TokenCounterSpec(Record):
    """What a token counter is made of (docs/rtl.md)."""

    queues: int = Field(ge=2, le=64, description="queues")
    queue_cycles: int = Field(ge=1, le=64, description="clocks per request")


def token_counter_spec(machine: PiumaSpec) -> TokenCounterSpec:
    """The token counter of one core."""
    return TokenCounterSpec(queues=QUEUES_PER_CORE, queue_cycles=machine.queue_cycles)


class TokenStimulus(NamedTuple):
    """Inputs presented during each of T clocks; numbers of tokens have shape (T, 1)."""

    i_valid: Bits
    i_set: Bits  # QSET, else POP
    i_queue: Numbers  # a queue that does not exist is empty and stays so
    i_first: Numbers
    i_last: Numbers
    o_ready: Bits


class TokenResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    i_ready: Bits
    o_valid: Bits
    o_token: Numbers  # (T, 1); 0 where not valid


def no_response(clocks: int) -> TokenResponse:
    """An empty response, to be filled in."""
    return TokenResponse(
        i_ready=np.zeros(clocks, np.bool_),
        o_valid=np.zeros(clocks, np.bool_),
        o_token=np.zeros((clocks, 1), np.int64),
    )


def run_token_counter(spec: TokenCounterSpec, stimulus: TokenStimulus) -> TokenResponse:
    """Outputs of one counter from reset, in each clock of `stimulus`."""
    response = no_response(len(stimulus.i_valid))
    _run(spec.queues, spec.queue_cycles, stimulus, response)
    return response


@njit(cache=True)
def _run(queues: int, cycles: int, stimulus: TokenStimulus, response: TokenResponse) -> None:
    following = np.zeros(queues, np.int64)
    end = np.zeros(queues, np.int64)
    left = 0  # clocks the request still keeps the counter
    valid = False
    token = np.int64(0)
    for clock in range(stimulus.i_valid.size):
        if valid:
            response.o_valid[clock] = True
            response.o_token[clock, 0] = token
        ready = left == 0 and (not valid or stimulus.o_ready[clock])
        response.i_ready[clock] = ready
        if stimulus.o_ready[clock]:
            valid = False
        if left == 0:
            if not (ready and stimulus.i_valid[clock]):
                continue
            left = cycles
            queue = stimulus.i_queue[clock]
            if stimulus.i_set[clock]:
                token = np.int64(0)
                if queue < queues:
                    following[queue] = stimulus.i_first[clock, 0]
                    end[queue] = stimulus.i_last[clock, 0]
            elif queue < queues and following[queue] < end[queue]:
                token = following[queue]
                following[queue] += 1
            else:
                token = np.int64(-1)
        left -= 1
        if left == 0:
            valid = True
