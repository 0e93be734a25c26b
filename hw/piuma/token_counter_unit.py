"""The token counter as a unit: reference, stimuli, manifest, and its models by port name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hw.cosim.trace_words import Trace
from hw.piuma.token_counter import TokenCounter
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.machines.piuma.stepped_token_counter import (
    TokenCounterSpec,
    TokenResponse,
    TokenStimulus,
    no_response,
    run_token_counter,
    token_counter_spec,
)


def stimulus(spec: TokenCounterSpec, seed: int, case: int) -> TokenStimulus:
    """Short ranges, empty and backward ranges, ends of the number range; bubbles, back-pressure."""
    rng = np.random.default_rng((seed, case))
    clocks = int(rng.integers(30, 60)) * (spec.queue_cycles + 1)

    def often(always: bool) -> Any:
        return np.ones(clocks, np.bool_) if always else rng.random(clocks) < rng.random()

    first = rng.integers(-5, 5, size=(clocks, 1))
    if case % 4 == 3:
        extremes = np.array([-(2**63), 2**63 - 4, -1, 2**32 - 2])
        first = rng.choice(extremes, size=(clocks, 1))
    return TokenStimulus(
        i_valid=often(case % 2 == 0),
        i_set=rng.random(clocks) < rng.choice([0.1, 0.3]),
        i_queue=rng.integers(1 << (spec.queues - 1).bit_length(), size=clocks)
        if case % 3
        else np.zeros(clocks, np.int64),
        i_first=first,
        # A backward range (first behind last) is empty.
        i_last=first + rng.integers(0, 4, size=(clocks, 1))
        if case % 4 == 3
        else first + rng.integers(-1, 8, size=(clocks, 1)),
        o_ready=often(case % 4 < 2),
    )


def run_reference(spec: TokenCounterSpec, made: TokenStimulus) -> TokenResponse:
    """Golden model: ranges of Python, one request after the other."""
    clocks = len(made.i_valid)
    out = no_response(clocks)
    queues = {number: iter(range(0)) for number in range(spec.queues)}
    free_at = 0
    answer: int | None = None
    for t in range(clocks):
        if t < free_at:
            continue
        if answer is not None:
            out.o_valid[t], out.o_token[t, 0] = True, answer
            answer = None if made.o_ready[t] else answer
        out.i_ready[t] = answer is None
        if answer is None and made.i_valid[t]:
            queue = int(made.i_queue[t])
            free_at = t + spec.queue_cycles
            if made.i_set[t]:
                answer = 0
                if queue in queues:
                    queues[queue] = iter(range(int(made.i_first[t, 0]), int(made.i_last[t, 0])))
            else:
                answer = next(queues.get(queue, iter(())), -1)
    return out


class TokenCounterUnit:
    """The queue engine of a PIUMA core."""

    def __init__(self, machine: PiumaSpec):
        self.spec = token_counter_spec(machine)

    def component(self) -> TokenCounter:
        return TokenCounter(self.spec)

    def stimulus(self, seed: int, case: int) -> Trace:
        return stimulus(self.spec, seed, case)._asdict()

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        return {
            "stepped": lambda inputs: run_token_counter(
                self.spec, TokenStimulus(**inputs)
            )._asdict(),
            "reference": lambda inputs: run_reference(self.spec, TokenStimulus(**inputs))._asdict(),
        }

    def meanings(self) -> Mapping[str, str]:
        return {
            "i_valid": "a request stands on the input",
            "i_ready": "the request is taken; depends on o_ready in the same clock",
            "i_set": "1: the queue gets the numbers first to last - 1; 0: its next number is taken",
            "i_queue": "which queue",
            "i_first": "first number, signed",
            "i_last": "the number behind the last, signed",
            "o_valid": "a response stands on the output",
            "o_ready": "the response is taken",
            "o_token": "the number, or -1 from an empty queue; 0 after a set and where not valid",
        }

    def description(self) -> dict[str, Any]:
        return {
            "summary": "Token counter of a PIUMA core (docs/rtl.md)",
            "parameters": self.spec.model_dump(),
            "latencies_clocks": {"request": self.spec.queue_cycles},
            "number_formats": {"tokens": "64 bits, signed"},
            "models": {
                "stepped_core": "sparsesim.machines.piuma.stepped_token_counter:run_token_counter",
                "golden_model": "hw.piuma.token_counter_unit:run_reference",
            },
        }


UNIT = TokenCounterUnit
