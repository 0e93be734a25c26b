"""The DRAM channel: fast == clock by clock, no rule broken, and faults are found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sparsesim.memory import dram
from sparsesim.memory.dram_rules import violations
from sparsesim.memory.dram_spec import DramChannel, DramTiming, ddr4_2400
from sparsesim.memory.dram_stream import StreamResult, run_stream
from sparsesim.memory.dram_tick import banks_and_rows, tick_stream
from tests.memory.dram_streams import Stream, channels, streams


def run(stream: Stream) -> StreamResult:
    return run_stream(
        stream.spec,
        stream.lines,
        stream.writes,
        window=stream.window,
        arrivals=stream.arrivals,
        record=True,
    )


@given(streams())
@settings(max_examples=120, deadline=None)
def test_fast_equals_clock_by_clock_and_keeps_the_rules(stream: Stream) -> None:
    fast = run(stream)
    ticks = tick_stream(
        stream.spec, stream.lines, stream.writes, window=stream.window, arrivals=stream.arrivals
    )
    np.testing.assert_array_equal(fast.accepted, ticks.accepted)
    np.testing.assert_array_equal(fast.finished, ticks.finished)
    # Refreshes after the last burst are beside the point.
    common = min(len(fast.commands), len(ticks.commands))
    np.testing.assert_array_equal(fast.commands[:common], ticks.commands[:common])
    assert (fast.commands[common:, 1] >= dram.PRECHARGE_ALL).all()
    assert violations(fast, stream.lines, stream.writes) == []
    kinds = fast.commands[:, 1]
    counters = fast.counters
    assert counters["reads"] + counters["writes"] == stream.lines.size
    assert counters["writes"] == stream.writes.sum()
    assert counters["activates"] == (kinds == dram.ACTIVATE).sum()
    assert counters["refreshes"] == (kinds == dram.REFRESH).sum()
    # Each use of an opened row but its first is a hit; a refresh may close a row before it is used.
    assert stream.lines.size - counters["row_hits"] <= counters["activates"]
    assert counters["data_clocks"] == stream.lines.size * stream.spec.timing.bl


@pytest.mark.parametrize("window", [0, 1, 16])
@pytest.mark.parametrize("mapping", ["row_bank_group", "row_bank", "interleaved", "mop4"])
def test_ddr4_keeps_the_rules(mapping: str, window: int) -> None:
    spec = ddr4_2400(mapping=mapping)  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    lines = np.concatenate((rng.integers(spec.lines, size=2000), np.arange(2000)))
    writes = rng.random(4000) < 0.25
    result = run_stream(spec, lines, writes, window=window, record=True)
    assert result.counters["refreshes"] >= 2
    assert violations(result, lines, writes) == []


@given(stream=streams(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_checker_finds_a_command_that_is_early(stream: Stream, data: st.DataObject) -> None:
    """Moving a command to just under its least distance must not go unseen."""
    result = run(stream)
    clock = result.commands[:, 0]
    place = data.draw(st.integers(0, len(clock) - 1))
    earlier = clock.copy()
    earlier[place] = clock[place - 1] if place else -1
    commands = result.commands.copy()
    commands[:, 0] = earlier
    moved = dataclasses.replace(result, commands=commands)
    assert violations(moved, stream.lines, stream.writes) != [] or place == 0


def test_the_checker_finds_each_rule() -> None:
    spec = ddr4_2400()
    lines = np.random.default_rng(5).integers(spec.lines, size=3000)
    writes = np.arange(3000) % 3 == 0
    result = run_stream(spec, lines, writes, record=True)
    assert violations(result, lines, writes) == []
    for name in (
        "rcd", "rp", "ras", "rtp", "wr", "ccd_s", "rrd_s", "rrd_l", "faw", "wtr_s", "wtr_l",
        "rtw_gap", "rfc",
    ):  # fmt: skip
        longer = {name: getattr(spec.timing, name) + 1}
        if name in ("ccd_s", "rrd_s", "wtr_s"):  # which stay below those of the same group
            longer = {name: getattr(spec.timing, name.replace("_s", "_l"))}
        timing = spec.timing.model_copy(update=longer)
        stricter = dataclasses.replace(result, spec=spec.model_copy(update={"timing": timing}))
        assert violations(stricter, lines, writes) != [], name
    other = lines.copy()
    other[7] += 2**20
    assert "bursts asked for" in violations(result, other, writes)[-1]
    kept = result.commands[result.commands[:, 1] != dram.REFRESH]
    unrefreshed = dataclasses.replace(result, commands=kept)
    assert any("overdue" in line for line in violations(unrefreshed, lines, writes))


@given(channels(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_addresses_cover_every_place_once(spec: DramChannel, seed: int) -> None:
    lines = np.arange(min(spec.lines, 4096))
    banks, rows = banks_and_rows(spec, lines)
    state = dram.new_channel(spec)
    some = np.random.default_rng(seed).choice(lines, size=20)
    for line in some:
        assert dram.locate(state, line) == (banks[line], rows[line])
    if lines.size == spec.lines:
        _, counts = np.unique(banks * spec.rows + rows, return_counts=True)
        assert counts.tolist() == [spec.row_lines] * (spec.banks * spec.rows)


@given(streams())
@settings(max_examples=100, deadline=None)
def test_a_core_that_wakes_at_events_gets_the_same(stream: Stream) -> None:
    """The incremental interface, used as an event-driven core does."""
    state = dram.new_channel(stream.spec)
    finished = np.full(stream.lines.size, -1)
    accepted = np.full(stream.lines.size, -1)
    sent, clock, order = 0, 0, []
    wake = dram.NEVER
    while len(order) < stream.lines.size:
        if sent < stream.lines.size and clock >= stream.arrivals[sent]:
            running = sum(finished[:sent] < 0) + sum(finished[:sent] >= clock)
            if dram.has_room(state) and (stream.window == 0 or running < stream.window):
                dram.push(state, clock, stream.lines[sent], stream.writes[sent], sent)
                accepted[sent] = clock
                sent += 1
                wake = clock
        if wake <= clock:
            wake = dram.step(state, clock)
        while (request := dram.pop(state)) >= 0:
            finished[request] = state[dram.POPPED_AT]
            order.append(finished[request])
        clock += 1
    expected = run(stream)
    np.testing.assert_array_equal(accepted, expected.accepted)
    np.testing.assert_array_equal(finished, expected.finished)
    assert order == sorted(order)


def test_idle_channels_are_refreshed() -> None:
    spec = ddr4_2400()
    arrivals = np.array([0, 10 * spec.timing.refi + 1])
    result = run_stream(spec, np.array([0, 0]), arrivals=arrivals, record=True)
    assert result.counters["refreshes"] == 10
    # The second request arrives a clock after a refresh began, and finds its row closed.
    assert result.finished[1] - result.accepted[1] == spec.timing.rfc - 1 + 17 + 17 + 4


def test_a_lone_read() -> None:
    spec = ddr4_2400(controller_clocks=3)
    result = run_stream(spec, np.array([5]))
    assert (result.accepted[0], result.finished[0]) == (0, 17 + 17 + 4 + 3)
    assert result.cycles == 42


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"bank_groups": 3}, "bank_groups 3 is not a power of two"),
        ({"bank_groups": 16, "banks_per_group": 8}, "128 banks, at most 64"),
        ({"mapping": "mop4", "row_lines": 2}, "mop4 needs rows of 4 lines or more"),
        ({"queue_depth": 0}, "queue_depth"),
    ],
)
def test_channels_that_are_none(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        DramChannel.model_validate(ddr4_2400().model_dump() | changes)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"ccd_s": 3}, "ccd_s 3 is less than a burst of bl 4 clocks"),
        ({"rrd_s": 7}, "rrd_s 7 exceeds rrd_l"),
        ({"refi": 500}, "refi 500 leaves no time between refreshes"),
    ],
)
def test_timings_that_are_none(changes: dict[str, int], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        DramTiming.model_validate(ddr4_2400().timing.model_dump() | changes)
