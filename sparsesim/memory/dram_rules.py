"""Checks recorded DRAM commands against the timing rules, pair by pair; knows no scheduler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.memory.dram import ACTIVATE, PRECHARGE, PRECHARGE_ALL, READ, REFRESH, WRITE
from sparsesim.memory.dram_spec import DramChannel, DramTiming
from sparsesim.memory.dram_stream import Flags, Numbers, StreamResult
from sparsesim.memory.dram_tick import banks_and_rows

KINDS = ("read", "write", "activate", "precharge", "precharge all", "refresh")
SAME_BANK, SAME_GROUP, OTHER_GROUP = range(3)


def least_distances(timing: DramTiming) -> npt.NDArray[np.int64]:
    """(6, 6, 3) least clocks from one command to a later one, by kinds and by relation of banks.

    The relation is same bank, same bank group, other bank group (JESD79-4, command timing).
    """
    table = np.ones((6, 6, 3), np.int64)  # one command per clock

    def rule(before: int, after: int, *clocks: int) -> None:
        same, group, other = clocks if len(clocks) == 3 else (clocks[0], 1, 1)
        table[before, after] = np.maximum(table[before, after], (same, group, other))

    def rule_for_all(before: int, after: int, clocks: int) -> None:
        rule(before, after, clocks, clocks, clocks)

    t = timing
    write_end = t.cwl + t.bl
    rule(ACTIVATE, ACTIVATE, t.ras + t.rp, t.rrd_l, t.rrd_s)
    for column in (READ, WRITE):
        rule(ACTIVATE, column, t.rcd)
        rule(column, column, t.ccd_l, t.ccd_l, t.ccd_s)
    rule_for_all(READ, WRITE, t.read_to_write)
    rule(WRITE, READ, write_end + t.wtr_l, write_end + t.wtr_l, write_end + t.wtr_s)
    for before, clocks in ((ACTIVATE, t.ras), (READ, t.rtp), (WRITE, write_end + t.wr)):
        rule(before, PRECHARGE, clocks)
        rule_for_all(before, PRECHARGE_ALL, clocks)
    rule(PRECHARGE, ACTIVATE, t.rp)
    rule_for_all(PRECHARGE, REFRESH, t.rp)
    for after in (ACTIVATE, REFRESH):
        rule_for_all(PRECHARGE_ALL, after, t.rp)
    for after in range(6):
        rule_for_all(REFRESH, after, t.rfc)
    return table


def violations(result: StreamResult, lines: Numbers, writes: Flags | None = None) -> list[str]:
    """What is wrong with the recorded commands of a stream, in words; empty if nothing is.

    Checks every pair of commands that some rule could hold apart, the window of four activates,
    open rows, the data bus, refreshes, and that every request got the burst it asked for.
    """
    spec, commands = result.spec, result.commands
    return [
        *_too_close(spec, commands),
        *_five_activates(spec, commands),
        *_rows_and_refreshes(spec, commands),
        *_bursts(result, lines, np.zeros(lines.size, np.bool_) if writes is None else writes),
    ]


def _too_close(spec: DramChannel, commands: Numbers) -> list[str]:
    table = least_distances(spec.timing)
    clock, kind, bank = commands[:, 0], commands[:, 1], commands[:, 2]
    group = np.where(bank < 0, -1, bank // spec.banks_per_group)
    wrong = []
    for back in range(1, commands.shape[0]):
        distance = clock[back:] - clock[:-back]
        if distance.min() >= table.max():
            break  # clocks rise by one at least
        near = group[back:] == group[:-back]
        everywhere = (bank[back:] < 0) | (bank[:-back] < 0)
        relation = np.where(
            everywhere | (bank[back:] == bank[:-back]),
            SAME_BANK,
            np.where(near, SAME_GROUP, OTHER_GROUP),
        )
        needed = table[kind[:-back], kind[back:], relation]
        for place in np.flatnonzero(distance < needed):
            wrong.append(
                f"{KINDS[kind[place + back]]} of bank {bank[place + back]} in clock "
                f"{clock[place + back]}: {distance[place]} clocks after the {KINDS[kind[place]]} "
                f"of bank {bank[place]}, needs {needed[place]}"
            )
    return wrong


def _five_activates(spec: DramChannel, commands: Numbers) -> list[str]:
    clock = commands[commands[:, 1] == ACTIVATE, 0]
    return [
        f"five activates within {spec.timing.faw} clocks of clock {clock[place]}"
        for place in np.flatnonzero(clock[4:] - clock[:-4] < spec.timing.faw)
    ]


def _rows_and_refreshes(spec: DramChannel, commands: Numbers) -> list[str]:
    wrong = []
    open_rows: dict[int, int] = {}
    refreshes = 0
    timing = spec.timing
    slack = timing.ras + timing.rp + timing.cl + timing.cwl + timing.bl + timing.wr + timing.rtp
    for clock, kind, bank, row in commands.tolist():
        what = f"{KINDS[kind]} of bank {bank} in clock {clock}"
        if kind == ACTIVATE:
            if bank in open_rows:
                wrong.append(f"{what}: a row is open")
            open_rows[bank] = row
        elif kind == PRECHARGE_ALL:
            open_rows.clear()
        elif kind == REFRESH:
            if open_rows:
                wrong.append(f"{what}: rows are open")
            refreshes += 1
            if not 0 <= clock - refreshes * timing.refi <= slack:
                wrong.append(f"{what}: was due in clock {refreshes * timing.refi}")
        elif bank not in open_rows:
            wrong.append(f"{what}: no row is open")
        elif kind == PRECHARGE:
            del open_rows[bank]
        if kind != REFRESH and clock >= (refreshes + 1) * timing.refi + slack:
            wrong.append(f"{what}: refresh {refreshes + 1} is overdue")
    return wrong


def _bursts(result: StreamResult, lines: Numbers, writes: Flags) -> list[str]:
    timing = result.spec.timing
    banks, rows = banks_and_rows(result.spec, lines)
    asked = sorted(
        zip(result.finished.tolist(), banks.tolist(), rows.tolist(), writes.tolist(), strict=True)
    )
    open_rows: dict[int, int] = {}
    given = []
    wrong = []
    bus_free = 0
    for clock, kind, bank, row in result.commands.tolist():
        if kind == ACTIVATE:
            open_rows[bank] = row
        if kind > WRITE:
            continue
        first = clock + (timing.cl if kind == READ else timing.cwl)
        if first < bus_free:
            wrong.append(f"data of clock {first}: the bus is busy until {bus_free}")
        bus_free = first + timing.bl
        finished = bus_free + result.spec.controller_clocks
        given.append((finished, bank, open_rows.get(bank, -1), kind == WRITE))
    if asked != given:
        differ = next((pair for pair in zip(asked, given, strict=False) if pair[0] != pair[1]), "")
        wrong.append(
            f"{len(asked)} bursts asked for, {len(given)} given; the first to differ: {differ}"
        )
    early = result.finished - result.accepted < min(timing.cl, timing.cwl) + timing.bl
    wrong += [f"request {number} is finished too early" for number in np.flatnonzero(early)]
    return wrong
