"""Operators on engines: dependencies, one operator at a time per engine, shared DRAM bandwidth.

Each engine takes the first ready operator in trace order. What an operator needs alone (its
clocks, and the clocks its DRAM transfers take) comes from the cycle cores. Where engines that run
at the same time ask for more than the whole bandwidth, all of them slow down alike: with shares
u1 + u2 > 1 of the DRAM time, each advances at 1 / (u1 + u2) of its own speed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import simpy


@dataclass(frozen=True)
class Job:
    """One operator: clocks it takes with the DRAM to itself, and clocks of DRAM transfers."""

    name: str
    engine: str
    deps: tuple[str, ...]
    clocks: int
    dram_clocks: int

    @property
    def dram_share(self) -> float:
        return min(1.0, self.dram_clocks / self.clocks) if self.clocks else 0.0


@dataclass(frozen=True)
class JobTime:
    """When a job ran; `end` - `start` exceeds its own clocks by what sharing the DRAM cost."""

    start: int
    end: int


def run_jobs(jobs: Sequence[Job]) -> dict[str, JobTime]:
    """Run all jobs; times in clocks from 0, by job name.

    Args:
        jobs: in trace order, which is a topological order.
    """
    environment = simpy.Environment()
    chip = _Chip(environment, jobs)
    for engine in dict.fromkeys(job.engine for job in jobs):
        environment.process(chip.serve(engine))
    environment.run()
    return chip.times


class _Chip:
    def __init__(self, environment: simpy.Environment, jobs: Sequence[Job]):
        self.environment = environment
        self.times: dict[str, JobTime] = {}
        self._waiting: dict[str, list[Job]] = {}
        for job in jobs:
            self._waiting.setdefault(job.engine, []).append(job)
        self._shares: dict[str, float] = {}
        self._changed = environment.event()

    def serve(self, engine: str) -> Generator[Any, Any, None]:
        """Process of one engine: take the first ready job, run it, until none is left."""
        waiting = self._waiting[engine]
        while waiting:
            job = next((job for job in waiting if self._ready(job)), None)
            if job is None:
                yield self._changed
                continue
            waiting.remove(job)
            yield from self._run(job)

    def _ready(self, job: Job) -> bool:
        return all(dep in self.times for dep in job.deps)

    def _run(self, job: Job) -> Generator[Any, Any, None]:
        start = self.environment.now
        self._shares[job.engine] = job.dram_share
        self._announce()
        left = float(job.clocks)
        while left > 1e-6:
            speed = 1.0 / max(1.0, sum(self._shares.values()))
            since = self.environment.now
            yield self.environment.timeout(ceil(left / speed - 1e-6)) | self._changed
            left -= (self.environment.now - since) * speed
        del self._shares[job.engine]
        self.times[job.name] = JobTime(int(start), int(self.environment.now))
        self._announce()

    def _announce(self) -> None:
        """Wake whoever waits for a dependency or shares the DRAM."""
        changed, self._changed = self._changed, self.environment.event()
        changed.succeed()
