"""Operators on engines: dependencies, one operator at a time per engine, shared DRAM bandwidth.

An operator starts when its dependencies have ended and its engines are free; it may hold more than
one engine (a weight update that streams through the sorter). Which ready operator runs next is
decided offline, by running the whole trace under two rules and keeping the shorter timeline:

- *greedy*: the first in trace order;
- *patient*: as greedy, but an operator may overtake the next one in line for its engine only if it
  will be done before that one can start. A long weight gradient then does not delay the
  back-propagation that everything else waits for.

What an operator needs alone (its clocks, and the clocks its DRAM transfers take) comes from the
cycle cores. Where operators that run at the same time ask for more than the whole bandwidth, all of
them slow down alike: with shares u1 + u2 > 1 of the DRAM time, each advances at 1 / (u1 + u2) of
its own speed.

A dependency may be *followed*: operators hand on their results in equal parts and progress evenly,
so a follower starts when the first part of each is done, and does its own last part once they have
ended. Where the followed operator works *ahead* (a transfer that brings the next pass's inputs
while this pass computes), the follower waits for the first part alone.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import simpy


@dataclass(frozen=True)
class Job:
    """One operator: clocks it takes with the DRAM to itself, and clocks of DRAM transfers.

    `beside` are engines that it holds together with `engine`; `follows` are dependencies that it
    takes part by part, `parts` how many parts it hands on itself. `ahead`, of `follows`, are those
    whose end it does not wait for.
    """

    name: str
    engine: str
    deps: tuple[str, ...]
    clocks: int
    dram_clocks: int
    beside: tuple[str, ...] = ()
    follows: frozenset[str] = frozenset()
    parts: int = 1
    ahead: frozenset[str] = frozenset()

    @property
    def engines(self) -> tuple[str, ...]:
        return (self.engine, *self.beside)

    @property
    def dram_share(self) -> float:
        return min(1.0, self.dram_clocks / self.clocks) if self.clocks else 0.0


@dataclass(frozen=True)
class JobTime:
    """When a job ran; `end` - `start` exceeds its own clocks by what sharing the DRAM cost.

    `waited` are clocks of it in which it waited for the operators it follows.
    """

    start: int
    end: int
    waited: int = 0


def run_jobs(jobs: Sequence[Job]) -> dict[str, JobTime]:
    """Run all jobs under the rule that ends sooner; times in clocks from 0, by job name.

    Args:
        jobs: in trace order, which is a topological order.
    """
    greedy, patient = (_run(jobs, rule) for rule in (False, True))
    return min(greedy, patient, key=lambda times: max(time.end for time in times.values()))


def _run(jobs: Sequence[Job], patient: bool) -> dict[str, JobTime]:
    environment = simpy.Environment()
    chip = _Chip(environment, jobs, patient)
    chip.dispatch()
    environment.run()
    return chip.times


class _Chip:
    def __init__(self, environment: simpy.Environment, jobs: Sequence[Job], patient: bool):
        self.environment = environment
        self._patient = patient
        self.times: dict[str, JobTime] = {}
        self._jobs = jobs
        self._held: set[str] = set()
        self._missing = [len(set(job.deps)) for job in jobs]
        self._users: dict[str, list[int]] = {job.name: [] for job in jobs}
        for number, job in enumerate(jobs):
            for dep in set(job.deps):
                self._users[dep].append(number)
        self._ended = {job.name: environment.event() for job in jobs if job.parts > 1}
        #: jobs whose dependencies have ended, by place in the trace
        self._ready = [number for number, missing in enumerate(self._missing) if not missing]
        #: jobs of each engine in trace order, and how many of them are known to have started
        self._line: dict[str, list[int]] = {}
        for number, job in enumerate(jobs):
            for engine in job.engines:
                self._line.setdefault(engine, []).append(number)
        self._begun = dict.fromkeys(self._line, 0)
        #: when the started jobs will end if nobody slows them down
        self._due: dict[str, int] = {}
        self._shares: dict[str, float] = {}
        self._changed = environment.event()

    def dispatch(self) -> None:
        """Start every ready job that finds its engines free."""
        waiting = []
        for number in self._ready:
            job = self._jobs[number]
            if self._held.isdisjoint(job.engines) and not self._would_delay(number):
                self._held.update(job.engines)
                self._due[job.name] = int(self.environment.now) + job.clocks
                self.environment.process(self._run(job))
            else:
                waiting.append(number)
        self._ready = waiting

    def _would_delay(self, number: int) -> bool:
        """Whether a job, started now, would still run when the next in line could start."""
        if not self._patient:
            return False
        end = self.environment.now + self._jobs[number].clocks
        for engine in self._jobs[number].engines:
            line = self._line[engine]
            while self._jobs[line[self._begun[engine]]].name in self._due:
                self._begun[engine] += 1
            first = line[self._begun[engine]]
            if first != number and end > self._could_start(self._jobs[first]):
                return True
        return False

    def _could_start(self, job: Job) -> float:
        """When the jobs that `job` waits for will end; infinite if one has not started."""
        waits = [dep for dep in job.deps if dep not in self.times]
        if any(dep not in self._due for dep in waits):
            return inf
        return max((self._due[dep] for dep in waits), default=self.environment.now)

    def _run(self, job: Job) -> Generator[Any, Any, None]:
        start = self.environment.now
        part = ceil(job.clocks / job.parts)
        first = part if job.parts > 1 else 0
        last = min(part, job.clocks - first) if job.follows else 0
        waited = 0
        if job.parts > 1:
            yield from self._work(job, first)
            self._release(job, followers=True)
        yield from self._work(job, job.clocks - first - last)
        if job.follows:
            since = self.environment.now
            for dep in sorted(job.follows - job.ahead):
                if dep in self._ended and dep not in self.times:
                    yield self._ended[dep]
            waited = int(self.environment.now - since)
            yield from self._work(job, last)
        end = self.environment.now
        self.times[job.name] = JobTime(int(start), int(end), waited)
        self._held.difference_update(job.engines)
        if job.parts > 1:
            self._ended[job.name].succeed()
        self._release(job, followers=False)

    def _work(self, job: Job, clocks: float) -> Generator[Any, Any, None]:
        """Advance a job by some of its clocks, sharing the DRAM with whatever else runs."""
        self._shares[job.name] = job.dram_share
        self._speeds_change()
        left = float(clocks)
        while left > 1e-6:
            speed = 1.0 / max(1.0, sum(self._shares.values()))
            since = self.environment.now
            yield self.environment.timeout(ceil(left / speed - 1e-6)) | self._changed
            left -= (self.environment.now - since) * speed
        del self._shares[job.name]
        self._speeds_change()

    def _release(self, job: Job, followers: bool) -> None:
        """Count `job` as done for those who follow it (after its first part), or for the rest."""
        for number in self._users[job.name]:
            follows = job.parts > 1 and job.name in self._jobs[number].follows
            if follows == followers:
                self._missing[number] -= 1
                if not self._missing[number]:
                    insort(self._ready, number)
        self.dispatch()

    def _speeds_change(self) -> None:
        """Wake the running jobs, which share the DRAM with one more or less."""
        changed, self._changed = self._changed, self.environment.event()
        changed.succeed()
