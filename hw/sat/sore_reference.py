"""The rules of the sorter lane in plain Python: whole groups, sorted, in a queue."""

from __future__ import annotations

from collections import deque

import numpy as np

from sparsesim.machines.sat.sorter_ports import SorterResponse, SorterSpec, SorterStimulus


def kept_positions(bits: list[int], kept: int) -> list[int]:
    """Positions of the `kept` largest magnitudes of FP16 bits, ascending; ties to the lower."""
    ranked = sorted(range(len(bits)), key=lambda position: (-(bits[position] & 0x7FFF), position))
    return sorted(ranked[:kept])


def run_reference(spec: SorterSpec, stimulus: SorterStimulus) -> SorterResponse:
    """Respond to a stimulus from reset."""
    group: list[int] = []
    queue: deque[tuple[int, int]] = deque()
    rows = []
    for valid, value, last, keep, o_ready in zip(*stimulus, strict=True):
        ends = last or len(group) + 1 == spec.m_max
        ready = not ends or not queue or (len(queue) == 1 and o_ready)
        shown = queue[0] if queue else (0, 0)
        rows.append((ready, bool(queue), shown[1], shown[0], len(queue) == 1))
        if queue and o_ready:
            queue.popleft()
        if valid and ready:
            group.append(int(value))
            if ends:
                positions = kept_positions(group, min(int(keep), spec.n_max))
                queue.extend((position, group[position]) for position in positions)
                group = []
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    kinds = (np.bool_, np.bool_, np.uint16, np.int64, np.bool_)
    return SorterResponse(*(np.array(c, k) for c, k in zip(columns, kinds, strict=True)))
