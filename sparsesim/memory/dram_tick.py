"""The DRAM channel of `dram`, said again as a loop over every clock: slow, plain, and equal.

Nothing is remembered but when each bank last saw each command. Every clock, each rule is looked up
anew; there are no lists per bank and no times computed ahead.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparsesim.memory.dram import ACTIVATE, PRECHARGE, PRECHARGE_ALL, READ, REFRESH, WRITE
from sparsesim.memory.dram_spec import DramChannel
from sparsesim.memory.dram_stream import Flags, Numbers, StreamResult

_LONG_AGO = -(2**40)


def banks_and_rows(spec: DramChannel, lines: Numbers) -> tuple[Numbers, Numbers]:
    """(N,) bank and row of each line: the bank group is the upper part of the bank."""
    order = {
        "row_bank_group": ("column", "group", "bank", "row"),
        "row_bank": ("column", "row", "bank", "group"),
        "interleaved": ("group", "column", "bank", "row"),
        "mop4": ("low", "group", "bank", "high", "row"),
    }[spec.mapping]
    sizes = {
        "column": spec.row_lines,
        "low": 4,
        "high": spec.row_lines // 4,
        "group": spec.bank_groups,
        "bank": spec.banks_per_group,
        "row": spec.rows,
    }
    left = np.asarray(lines, np.int64)
    found = {}
    for name in order:
        left, found[name] = np.divmod(left, sizes[name])
    group, bank, row = found["group"], found["bank"], found["row"]
    if spec.mapping == "mop4":
        column = found["low"] + 4 * found["high"]
        group = group ^ column % spec.bank_groups
        bank = bank ^ column // spec.bank_groups % spec.banks_per_group
        row = row ^ column // spec.banks % spec.rows
    return group * spec.banks_per_group + bank, row


def tick_stream(
    spec: DramChannel,
    lines: Numbers,
    writes: Flags | None = None,
    *,
    window: int = 0,
    arrivals: Numbers | None = None,
) -> StreamResult:
    """`run_stream`, one clock after the other, with every command recorded."""
    banks, rows = banks_and_rows(spec, lines)
    flags = np.zeros(lines.size, np.bool_) if writes is None else writes
    earliest = np.zeros(lines.size, np.int64) if arrivals is None else arrivals
    timing = spec.timing
    commands, accepted, finished = _ticks(
        banks, rows, flags, earliest, window, spec.banks, spec.banks_per_group,
        spec.queue_depth, spec.controller_clocks, spec.row_hit_limit, spec.opener_first,
        spec.early_precharge,
        timing.cl, timing.cwl, timing.bl, timing.rcd, timing.rp, timing.ras, timing.rtp, timing.wr,
        timing.ccd_s, timing.ccd_l, timing.rrd_s, timing.rrd_l, timing.faw, timing.wtr_s,
        timing.wtr_l, timing.read_to_write, timing.refi, timing.rfc,
    )  # fmt: skip
    return StreamResult(spec, accepted, finished, commands, {})


@njit(cache=True)
def _ticks(  # type: ignore[no-untyped-def]
    banks, rows, writes, arrivals, window, bank_count, banks_per_group, depth, delay, hit_limit,
    opener_first, early_precharge,
    cl, cwl, bl, rcd, rp, ras, rtp, wr, ccd_s, ccd_l, rrd_s, rrd_l, faw, wtr_s, wtr_l, rtw,
    refi, rfc,
):  # fmt: skip
    count = banks.size
    accepted = np.full(count, -1, np.int64)
    finished = np.full(count, -1, np.int64)
    commands = []
    queue = [np.int64(0) for _ in range(0)]  # requests, oldest first
    open_row = np.full(bank_count, -1, np.int64)
    hits = np.zeros(bank_count, np.int64)
    activated = np.full(bank_count, _LONG_AGO, np.int64)
    precharged = np.full(bank_count, _LONG_AGO, np.int64)
    read = np.full(bank_count, _LONG_AGO, np.int64)
    written = np.full(bank_count, _LONG_AGO, np.int64)
    activates = [np.int64(_LONG_AGO)]
    refreshed = np.int64(_LONG_AGO)
    refreshes = 0
    sent = 0
    served = 0
    clock = 0
    while served < count:
        # 1. One request may arrive.
        if sent < count and len(queue) < depth and arrivals[sent] <= clock:
            outstanding = 0
            for request in range(sent if window > 0 else 0):
                if finished[request] < 0 or finished[request] >= clock:
                    outstanding += 1
            if window == 0 or outstanding < window:
                accepted[sent] = clock
                queue.append(np.int64(sent))
                sent += 1
        # 2. A refresh that is due keeps all else from being issued.
        if clock >= (refreshes + 1) * refi:
            any_open = False
            ready = clock - refreshed >= rfc
            for bank in range(bank_count):
                if open_row[bank] >= 0:
                    any_open = True
            for bank in range(bank_count):
                if any_open and open_row[bank] >= 0:
                    ready = ready and _may_precharge(
                        clock, activated[bank], read[bank], written[bank], ras, rtp, cwl + bl + wr
                    )
                if not any_open:
                    ready = ready and clock - precharged[bank] >= rp
            if ready and any_open:
                for bank in range(bank_count):
                    if open_row[bank] >= 0:
                        precharged[bank] = clock
                    open_row[bank] = -1
                commands.append((clock, PRECHARGE_ALL, -1, -1))
            elif ready:
                refreshed = clock
                refreshes += 1
                commands.append((clock, REFRESH, -1, -1))
            clock += 1
            continue
        # 3. The best of the candidates.
        best, best_kind, best_rank = -1, 0, 0
        for turn in range(2 * bank_count if early_precharge else bank_count):
            bank = turn % bank_count
            candidate = -1
            for request in queue:
                if banks[request] != bank:
                    continue
                if candidate < 0:
                    candidate = request
                    if hit_limit > 0 and hits[bank] >= hit_limit:
                        break
                if open_row[bank] >= 0 and rows[request] == open_row[bank]:
                    candidate = request
                    break
            if candidate < 0:
                continue
            if turn >= bank_count:  # an early precharge?
                if rows[candidate] != open_row[bank] or hits[bank] == 0:
                    continue
                candidate = -1
                for request in queue:
                    if banks[request] == bank and rows[request] != open_row[bank]:
                        candidate = request
                        break
                if candidate < 0:
                    continue
            if open_row[bank] < 0:
                kind = ACTIVATE
                ready = clock - precharged[bank] >= rp and clock - refreshed >= rfc
                recent = 0
                for time in activates[-4:]:
                    if clock - time < faw:
                        recent += 1
                ready = ready and recent < 4
                for other in range(bank_count):
                    near = other // banks_per_group == bank // banks_per_group
                    ready = ready and clock - activated[other] >= (rrd_l if near else rrd_s)
            elif open_row[bank] != rows[candidate]:
                kind = PRECHARGE
                ready = _may_precharge(
                    clock, activated[bank], read[bank], written[bank], ras, rtp, cwl + bl + wr
                )
            else:
                kind = WRITE if writes[candidate] else READ
                ready = clock - activated[bank] >= rcd
                for other in range(bank_count):
                    near = other // banks_per_group == bank // banks_per_group
                    same = ccd_l if near else ccd_s
                    turn = cwl + bl + (wtr_l if near else wtr_s)
                    since_read = clock - read[other]
                    since_write = clock - written[other]
                    if kind == READ:
                        ready = ready and since_read >= same and since_write >= turn
                    else:
                        ready = ready and since_write >= same and since_read >= rtw
            if not ready:
                continue
            rank = 2 if kind > WRITE else 1 if opener_first and hits[bank] > 0 else 0
            if best < 0 or rank < best_rank or (rank == best_rank and candidate < best):
                best_rank = rank
                best, best_kind = candidate, kind
        if best >= 0:
            bank = banks[best]
            row = -1
            if best_kind == ACTIVATE:
                row = rows[best]
                open_row[bank] = row
                hits[bank] = 0
                activated[bank] = clock
                activates.append(np.int64(clock))
            elif best_kind == PRECHARGE:
                open_row[bank] = -1
                precharged[bank] = clock
            else:
                if best_kind == READ:
                    read[bank] = clock
                    finished[best] = clock + cl + bl + delay
                else:
                    written[bank] = clock
                    finished[best] = clock + cwl + bl + delay
                hits[bank] += 1
                queue.remove(np.int64(best))
                served += 1
            commands.append((clock, best_kind, bank, row))
        clock += 1
    log = np.empty((len(commands), 4), np.int64)
    for number in range(len(commands)):
        entry = commands[number]
        for word in range(4):
            log[number, word] = entry[word]
    return log, accepted, finished


@njit(cache=True)
def _may_precharge(clock, activated, read, written, ras, rtp, recovery):  # type: ignore[no-untyped-def]
    return clock - activated >= ras and clock - read >= rtp and clock - written >= recovery
