"""Operator results as Chrome/Perfetto trace events, one track per engine."""

from __future__ import annotations

from typing import Any

from sparsesim.results.record import RunResult


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
    return {
        "traceEvents": events,
        "otherData": {"unit": "1 us shown = 1 clock", "clock_hz": result.clock_hz},
    }
