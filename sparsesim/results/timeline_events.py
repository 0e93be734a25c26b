"""Operator results as Chrome/Perfetto trace events, one track per engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparsesim.results.record import RunResult


def _detail_events(result: RunResult, tracks: int) -> Iterator[dict[str, Any]]:
    """`spans` of an operator's details as tracks below the engines, `series` as counters.

    A span is {track, name, start, cycles}; `series` holds lists of equal length, one of them
    `cycle`, where each sample ends. Clocks count from the operator's start.
    """
    named: dict[str, int] = {}
    for op in result.operators:
        for span in op.details.get("spans", ()):
            if span["track"] not in named:
                named[span["track"]] = tid = tracks + len(named) + 1
                name = {"name": span["track"]}
                yield {"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": name}
            yield {
                "ph": "X",
                "pid": 1,
                "tid": named[span["track"]],
                "name": span["name"],
                "ts": op.start_cycle + span["start"],
                "dur": span["cycles"],
            }
        series = dict(op.details.get("series", {}))
        starts = [0, *series.pop("cycle", [])]
        for name, values in series.items():
            for start, value in zip(starts, values, strict=False):
                counter = {"ph": "C", "pid": 1, "name": name, "args": {name: value}}
                yield counter | {"ts": op.start_cycle + start}


def timeline_events(result: RunResult) -> dict[str, Any]:
    """Events for `chrome://tracing` or Perfetto; one displayed microsecond is one array clock."""
    tracks = {name: number for number, name in enumerate(result.engines, start=1)}
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": {"name": name}}
        for name, tid in tracks.items()
    ]
    events.extend(
        {
            "ph": "X",
            "pid": 1,
            "tid": tracks[op.engine],
            "name": op.operator,
            "cat": op.phase,
            "ts": op.start_cycle,
            "dur": op.cycles,
            "args": {
                "mapping": op.mapping,
                "pattern": op.pattern,
                "busy_cycles": op.busy_cycles,
                **{f"stall_{cause}": n for cause, n in op.stall_cycles.items() if n},
            },
        }
        for op in result.operators
    )
    events.extend(_detail_events(result, len(tracks)))
    return {
        "traceEvents": events,
        "otherData": {"unit": "1 us shown = 1 clock", "clock_hz": result.clock_hz},
    }
