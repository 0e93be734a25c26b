"""Golden model of the DMA engine: descriptors as lists of moves, beats at the clocks they are due.

Written from the rules of the machine's engine, with clocks as numbers where the hardware counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma.dma_engine_ports import (
    ADDRESS_BITS,
    DmaEngineResponse,
    DmaEngineSpec,
    DmaEngineStimulus,
    no_response,
)

_SPACE = 1 << ADDRESS_BITS


class _Move(NamedTuple):
    """One element: address of its position, and source and goal less the position."""

    position: int | None
    source: int | None
    goal: int


class _Descriptor:
    """A descriptor taken in clock t; `moves` gives its elements one by one."""

    def __init__(self, made: DmaEngineStimulus, t: int):
        self.mode = int(made.d_mode[t])
        self.source = int(made.d_source[t, 0])
        self.left = int(made.d_count[t])
        self.tag = int(made.d_tag[t])
        self.moves = self._moves(int(made.d_goal[t]), int(made.d_arg[t]), self.left)

    def _moves(self, goal: int, arg: int, count: int) -> Iterator[_Move]:
        for k in range(count):
            match self.mode:
                case isa.DMA_FILL:
                    yield _Move(None, None, goal + k)
                case isa.DMA_GATHER:
                    yield _Move(arg + k, self.source, goal + k)
                case isa.DMA_SCATTER:
                    yield _Move(arg + k, self.source + k, goal)
                case isa.DMA_SCATTER_FILL:
                    yield _Move(arg + k, None, goal)
                case isa.DMA_STRIDE_IN:
                    yield _Move(None, self.source + k * arg, goal + k)
                case isa.DMA_STRIDE_OUT:
                    yield _Move(None, self.source + k, goal + k * arg)
                case _:
                    yield _Move(None, self.source + k, goal + k)


class _Beat:
    """A beat on its way."""

    def __init__(self, descriptor: _Descriptor, slot: int, words: int):
        lanes = min(words, descriptor.left)
        descriptor.left -= lanes
        self.moves = [next(descriptor.moves) for _ in range(lanes)]
        self.gathers = descriptor.mode == isa.DMA_GATHER
        self.value = descriptor.source
        self.slot, self.last, self.tag = slot, descriptor.left == 0, descriptor.tag
        self.goals: list[int] = []
        self.data: list[int] = []


def run_reference(spec: DmaEngineSpec, made: DmaEngineStimulus) -> DmaEngineResponse:
    """Outputs of one engine from reset, in each clock of the stimulus `made`."""
    clocks = len(made.d_valid)
    out = no_response(spec, clocks)
    queue: deque[_Descriptor] = deque()
    busy: set[int] = set()
    beats = 0
    due = 0
    starts_anew = False  # `due` is when the queue's next descriptor may begin to start
    steps: list[_Beat | None] = [None, None, None]  # positions, words, output
    for t in range(clocks):
        out.idle[t] = not queue and not busy
        shown = steps[2]
        if shown is not None:
            out.o_valid[t], out.o_lanes[t] = True, len(shown.moves)
            out.o_slot[t], out.o_last[t], out.o_tag[t] = shown.slot, shown.last, shown.tag
            out.o_address[t, : len(shown.goals)] = shown.goals
            out.o_data[t, : len(shown.data)] = shown.data
        moves = shown is None or bool(made.o_ready[t])
        slot = beats % spec.outstanding
        free = slot not in busy
        beat = None
        if queue and t >= due and free:
            if starts_anew:
                due, starts_anew = t + spec.start_cycles, False
            elif moves:
                beat = _Beat(queue[0], slot, spec.beat_words)
        if moves:
            _read_words(made, out, t, steps[0])
            if steps[1] is not None:
                steps[1].data = [
                    steps[1].value if move.source is None else int(word)
                    for move, word in zip(steps[1].moves, made.r_data[t], strict=False)
                ]
            steps = [beat, steps[0], steps[1]]
        busy.difference_update(made.done[t].nonzero()[0].tolist())
        if beat is not None:
            if any(move.position is not None for move in beat.moves):
                out.x_read[t] = True
                out.x_address[t, : len(beat.moves)] = [
                    (move.position or 0) % _SPACE for move in beat.moves
                ]
            busy.add(slot)
            beats += 1
            due = t + spec.beat_cycles
            if beat.last:
                queue.popleft()
                starts_anew = bool(queue)
        out.d_ready[t] = len(queue) < spec.queue
        if out.d_ready[t] and made.d_valid[t] and made.d_count[t]:
            if not queue:
                due, starts_anew = t + spec.start_cycles, False
            queue.append(_Descriptor(made, t))
    return out


def _read_words(
    made: DmaEngineStimulus, out: DmaEngineResponse, t: int, beat: _Beat | None
) -> None:
    """The positions of `beat` have come: where its words are, and where they go."""
    if beat is None:
        return
    for lane, move in enumerate(beat.moves):
        position = 0 if move.position is None else int(made.x_data[t, lane])
        source = 0 if move.source is None else move.source + position * beat.gathers
        beat.goals.append((move.goal + position * (not beat.gathers)) % _SPACE)
        if move.source is not None:
            out.r_read[t] = True
            out.r_address[t, lane] = source % _SPACE
