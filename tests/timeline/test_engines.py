"""Do operators start when they may, one at a time per engine, and share the DRAM as specified?"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.timeline import Job, JobTime, run_jobs

ENGINES = ("array", "vector", "sorter")


@st.composite
def job_graphs(draw: st.DrawFn, dram: bool = True) -> list[Job]:
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 12))):
        earlier = [job.name for job in jobs]
        deps = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        clocks = draw(st.integers(0, 40))
        used = draw(st.integers(0, clocks)) if dram else 0
        jobs.append(Job(f"job{number}", draw(st.sampled_from(ENGINES)), tuple(deps), clocks, used))
    return jobs


def critical_path(jobs: list[Job]) -> int:
    ends: dict[str, int] = {}
    for job in jobs:
        ends[job.name] = job.clocks + max((ends[dep] for dep in job.deps), default=0)
    return max(ends.values())


@given(job_graphs())
@settings(max_examples=300, deadline=None)
def test_order_and_exclusion(jobs: list[Job]) -> None:
    times = run_jobs(jobs)
    assert set(times) == {job.name for job in jobs}
    for job in jobs:
        assert times[job.name].start >= max((times[dep].end for dep in job.deps), default=0)
        assert times[job.name].end - times[job.name].start >= job.clocks
    for engine in ENGINES:
        spans = sorted(
            (times[job.name].start, times[job.name].end) for job in jobs if job.engine == engine
        )
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert run_jobs(jobs) == times


@given(job_graphs())
@settings(max_examples=300, deadline=None)
def test_an_engine_never_waits_without_reason(jobs: list[Job]) -> None:
    """A job starts at 0 or when another ends; and some job runs at any time."""
    times = run_jobs(jobs)
    ends = {0, *(time.end for time in times.values())}
    assert all(time.start in ends for time in times.values())
    for clock in range(max(ends)):
        assert any(time.start <= clock < time.end for time in times.values())


@given(job_graphs(dram=False))
@settings(max_examples=300, deadline=None)
def test_total_lies_between_critical_path_and_serial_sum(jobs: list[Job]) -> None:
    times = run_jobs(jobs)
    total = max(time.end for time in times.values())
    assert critical_path(jobs) <= total <= sum(job.clocks for job in jobs)
    assert all(times[job.name].end - times[job.name].start == job.clocks for job in jobs)


@given(job_graphs())
@settings(max_examples=300, deadline=None)
def test_sharing_costs_no_more_than_taking_turns(jobs: list[Job]) -> None:
    total = max(time.end for time in run_jobs(jobs).values())
    # Each stretch ends on a whole clock, so a job may lose less than a clock to rounding.
    assert critical_path(jobs) <= total <= sum(job.clocks for job in jobs) + len(jobs)


def test_two_jobs_that_want_the_whole_dram_run_at_half_speed() -> None:
    jobs = [Job("a", "array", (), 100, 100), Job("b", "vector", (), 100, 100)]
    assert run_jobs(jobs) == {"a": JobTime(0, 200), "b": JobTime(0, 200)}


def test_both_slow_down_by_the_sum_of_their_shares() -> None:
    """0.75 + 0.75: each runs at 1 / 1.5 while both run, then alone at full speed."""
    jobs = [Job("a", "array", (), 100, 75), Job("b", "vector", (), 40, 30)]
    # b takes 40 x 1.5 = 60 clocks, in which a does 40 of its 100.
    assert run_jobs(jobs) == {"a": JobTime(0, 120), "b": JobTime(0, 60)}


def test_shares_within_the_bandwidth_cost_nothing() -> None:
    jobs = [Job("a", "array", (), 100, 50), Job("b", "vector", (), 80, 40)]
    assert run_jobs(jobs) == {"a": JobTime(0, 100), "b": JobTime(0, 80)}


def test_a_later_ready_job_overtakes_one_that_waits() -> None:
    jobs = [
        Job("slow", "vector", (), 50, 0),
        Job("waits", "array", ("slow",), 10, 0),
        Job("free", "array", (), 20, 0),
    ]
    times = run_jobs(jobs)
    assert times["free"] == JobTime(0, 20)
    assert times["waits"] == JobTime(50, 60)


def test_a_job_that_starts_in_the_middle_slows_the_running_one() -> None:
    jobs = [
        Job("a", "array", (), 100, 100),
        Job("first", "vector", (), 50, 0),
        Job("b", "vector", ("first",), 30, 30),
    ]
    times = run_jobs(jobs)
    assert times["b"] == JobTime(50, 110)
    assert times["a"] == JobTime(0, 130)


def test_a_long_job_does_not_delay_the_next_in_line() -> None:
    """`long` could start at once, but `next` is what the vector unit waits for."""
    jobs = [
        Job("select", "sorter", (), 5, 0),
        Job("next", "array", ("select",), 10, 0),
        Job("after", "vector", ("next",), 100, 0),
        Job("long", "array", (), 90, 0),
    ]
    times = run_jobs(jobs)
    assert times["next"] == JobTime(5, 15)
    assert max(time.end for time in times.values()) == 115


def test_a_short_job_fills_the_gap() -> None:
    jobs = [
        Job("select", "sorter", (), 5, 0),
        Job("next", "array", ("select",), 10, 0),
        Job("short", "array", (), 5, 0),
    ]
    assert run_jobs(jobs)["short"] == JobTime(0, 5)


def test_an_operator_holds_all_its_engines() -> None:
    jobs = [
        Job("both", "update", (), 10, 0, beside=("sorter",)),
        Job("select", "sorter", (), 4, 0),
    ]
    assert run_jobs(jobs) == {"both": JobTime(0, 10), "select": JobTime(10, 14)}


def test_a_follower_starts_at_the_first_part_and_ends_after_the_last() -> None:
    jobs = [
        Job("slow", "vector", (), 100, 0, parts=4),
        Job("fast", "array", ("slow",), 40, 0, follows=frozenset({"slow"}), parts=4),
    ]
    assert run_jobs(jobs) == {"slow": JobTime(0, 100), "fast": JobTime(25, 110, 45)}


def test_whoever_works_ahead_is_waited_for_once() -> None:
    inputs = frozenset({"inputs"})
    jobs = [
        Job("inputs", "host", (), 100, 0, parts=4),
        Job("fast", "array", ("inputs",), 40, 0, follows=inputs, parts=4, ahead=inputs),
        Job("results", "host", ("fast",), 5, 0),
    ]
    times = run_jobs(jobs)
    assert times["fast"] == JobTime(25, 65)
    assert times["results"] == JobTime(100, 105)  # the link is busy until then
