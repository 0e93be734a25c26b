"""Operators that follow one another part by part."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.timeline import Job, JobTime, run_jobs


def chain(first: int, second: int, parts: int) -> dict[str, JobTime]:
    return run_jobs(
        [
            Job("a", "x", (), first, 0, (), frozenset(), parts),
            Job("b", "y", ("a",), second, 0, (), frozenset({"a"}), parts),
        ]
    )


@given(st.integers(1, 50), st.integers(1, 50), st.integers(2, 8))
@settings(max_examples=100, deadline=None)
def test_a_follower_is_as_late_as_part_by_part_simulation(first: int, second: int, n: int) -> None:
    """Evenly progressing parts, one by one: part i needs part i of the producer and i - 1."""
    times = chain(first * n, second * n, n)
    done = 0
    for part in range(1, n + 1):
        done = max(done, first * part) + second
    assert times["b"].end == done
    assert times["b"].start == first
    assert times["b"].end - times["b"].start == second * n + times["b"].waited


def test_without_parts_a_follower_waits_for_the_end() -> None:
    assert chain(10, 6, 1)["b"] == JobTime(10, 16)


def test_one_engine_never_runs_two() -> None:
    times = run_jobs(
        [
            Job("a", "x", (), 40, 0, (), frozenset(), 4),
            Job("b", "x", ("a",), 40, 0, (), frozenset({"a"}), 4),
        ]
    )
    assert times["b"] == JobTime(40, 80)
