"""A DRAM channel, command by command: FR-FCFS over open rows, skipping clocks without commands.

The schedule, clock by clock (`dram_tick` says the same as a plain loop):

1. Requests that arrive in a clock join the queue, if it has room.
2. From the clock in which a refresh is due, nothing else is issued: all banks are precharged
   (one command, as soon as every open bank allows it; none if no bank is open), then refreshed.
3. Otherwise every bank has at most one *candidate*: the oldest queued request that hits its open
   row, else its oldest. (With `row_hit_limit`, the oldest, once that many hits went before it.) It
   needs a read or write, an activate, or a precharge. Of the candidates whose command all timing
   rules allow now, reads and writes go before activates and precharges, and then the oldest
   request goes first. (With `opener_first`, the first access to an opened row goes before other
   reads and writes. With `early_precharge`, a bank whose row had an access is also a candidate for
   a precharge, for its oldest request to another row.) One command is issued per clock.

The state of a channel is one int64 array, so that compiled cores can pass it around at no cost
(many arguments cost reference counts). A core uses four functions, in clocks of the command bus:

    state = new_channel(spec)            once, in Python
    has_room(state)                      may `push` be called?
    push(state, clock, line, write, request)   a request arrives
    step(state, clock) -> next           issue everything up to `clock`; nothing more to do before
                                         `next` unless something is pushed (NEVER: queue empty)
    pop(state) -> request                a finished request, oldest first, -1 if there is none;
                                         its last data arrive at clock ``state[POPPED_AT]``

A request is known to finish when its command is issued, so `pop` may give it clocks before
``state[POPPED_AT]``: put it into the core's own event queue. Requests are popped in the order in
which their data pass the bus.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from sparsesim.memory.dram_spec import MAX_BANKS, DramChannel

State = npt.NDArray[np.int64]

NEVER = 2**62

# --- Layout of the state -----------------------------------------------------------------------
# Parameters.
(
    BANKS, GROUP_SHIFT, CL, CWL, BL, RCD, RP, RAS, RTP, WR, CCD_S, CCD_L, RRD_S, RRD_L, FAW,
    WTR_S, WTR_L, RTW, REFI, RFC, DEPTH, DELAY, HIT_LIMIT,
    COLUMN_BITS, COLUMN_LOW_BITS, ROW_SHIFT, ROW_BITS, GROUP_FIELD, BANK_FIELD, GROUP_BITS,
    BANK_BITS, COLUMN_HIGH_SHIFT, XOR, SLOTS, RING, RING_MASK, OPENER_FIRST,
    EARLY,
) = range(38)  # fmt: skip
# Single values.
(
    NOW, REFRESH_DUE, QUEUED, NEXT_SEQUENCE, FREE, BEST_CLOCK, BEST_BANK, RING_FIRST, RING_END,
    ACTIVATE_NUMBER, LAST_COMMAND, POPPED_AT, LOG, LOG_END, WRITE_TURN, BEST_IS_EARLY,
) = range(40, 56)  # fmt: skip
# Counters: commands (a precharge of all counts its open banks), columns after the first of an
# activate, and clocks of the data bus with data.
READS, WRITES, ACTIVATES, PRECHARGES, REFRESHES, ROW_HITS, DATA_CLOCKS = range(56, 63)
FOUR_ACTIVATES = 63  # clocks of the last four activates, a ring
_HEADER = 67
# Per bank.
(
    OPEN_ROW, NEXT_ACTIVATE, NEXT_PRECHARGE, NEXT_COLUMN, OLDEST, NEWEST, CANDIDATE, HITS,
    READY, KEY, IS_READ, IS_WRITE, IS_ACTIVATE, READ_GATE, WRITE_GATE, ACTIVATE_GATE, GROUP,
    EARLY_READY, EARLY_KEY,
) = (_HEADER + number * MAX_BANKS for number in range(19))  # fmt: skip
_SLOTS_AT = _HEADER + 19 * MAX_BANKS
# Per slot of the queue: six words.
S_ROW, S_SEQUENCE, S_NEXT, S_PREVIOUS, S_WRITE, S_REQUEST = range(6)
_SLOT_WORDS = 6
_LOG_WORDS = 4

#: Commands, as they are recorded.
READ, WRITE, ACTIVATE, PRECHARGE, PRECHARGE_ALL, REFRESH = range(6)

_TIME_SHIFT = 43
_FAR = 2**20 - 1
# Order of commands in the same clock, above the age: with `opener_first`, an access to a row that
# had one already waits for those that had none; activates and precharges wait for accesses.
_LATER_ACCESS = 1 << 41
_ROW_COMMAND = 1 << 42
_BANK_MASK = MAX_BANKS - 1
_PLACE = 2**31 - 1  # changes nothing: tells the compiler that an index is not negative
_BANK_MASK_BITS = 6


def new_channel(spec: DramChannel, recorded: int = 0) -> State:
    """The state of an idle channel at clock 0, all banks precharged.

    Args:
        recorded: commands to keep, for `commands`; the first ones are kept.
    """
    timing = spec.timing
    ring = 1 << (2 * spec.queue_depth + 64).bit_length()
    slots = _SLOTS_AT
    log = slots + _SLOT_WORDS * spec.queue_depth + 2 * ring
    state = np.zeros(log + _LOG_WORDS * recorded, np.int64)
    column = spec.row_lines.bit_length() - 1
    group, bank = spec.bank_groups.bit_length() - 1, spec.banks_per_group.bit_length() - 1
    row = spec.rows.bit_length() - 1
    # Shift of each field of a line's address.
    if spec.mapping == "row_bank_group":
        low, high_at, group_at, bank_at = column, column, column, column + group
        row_at = column + group + bank
    elif spec.mapping == "row_bank":
        low, high_at, row_at = column, column, column
        bank_at, group_at = column + row, column + row + bank
    elif spec.mapping == "interleaved":
        low, high_at, group_at = 0, group, 0
        bank_at, row_at = group + column, group + column + bank
    else:
        low, group_at, bank_at, high_at = 2, 2, 2 + group, 2 + group + bank
        row_at = group + bank + column
    for place, value in (
        (BANKS, spec.banks), (GROUP_SHIFT, bank), (CL, timing.cl), (CWL, timing.cwl),
        (BL, timing.bl), (RCD, timing.rcd), (RP, timing.rp), (RAS, timing.ras),
        (RTP, timing.rtp), (WR, timing.wr), (CCD_S, timing.ccd_s), (CCD_L, timing.ccd_l),
        (RRD_S, timing.rrd_s), (RRD_L, timing.rrd_l), (FAW, timing.faw), (WTR_S, timing.wtr_s),
        (WTR_L, timing.wtr_l), (RTW, timing.read_to_write), (REFI, timing.refi),
        (RFC, timing.rfc), (DEPTH, spec.queue_depth), (DELAY, spec.controller_clocks),
        (HIT_LIMIT, spec.row_hit_limit), (OPENER_FIRST, spec.opener_first),
        (EARLY, spec.early_precharge),
        (COLUMN_BITS, column), (COLUMN_LOW_BITS, low),
        (COLUMN_HIGH_SHIFT, high_at), (GROUP_FIELD, group_at), (GROUP_BITS, group),
        (BANK_FIELD, bank_at), (BANK_BITS, bank), (ROW_SHIFT, row_at), (ROW_BITS, row),
        (XOR, spec.mapping == "mop4"), (SLOTS, slots),
        (RING, slots + _SLOT_WORDS * spec.queue_depth), (RING_MASK, ring - 1),
        (LOG, log), (LOG_END, log), (REFRESH_DUE, timing.refi), (BEST_CLOCK, NEVER),
        (LAST_COMMAND, -1),
    ):  # fmt: skip
        state[place] = value
    banks = np.arange(spec.banks)
    state[OPEN_ROW : OPEN_ROW + spec.banks] = -1
    state[GROUP : GROUP + spec.banks] = banks >> bank
    for place in (OLDEST, NEWEST, CANDIDATE):
        state[place : place + spec.banks] = -1
    state[READY : READY + spec.banks] = NEVER
    state[EARLY_READY : EARLY_READY + spec.banks] = NEVER
    state[KEY : KEY + spec.banks] = banks
    state[FOUR_ACTIVATES : FOUR_ACTIVATES + 4] = -NEVER
    for slot in range(spec.queue_depth):  # the free places, linked
        state[slots + _SLOT_WORDS * slot + S_NEXT] = slot + 1 if slot + 1 < spec.queue_depth else -1
    return state


def commands(state: State) -> State:
    """(commands, 4): clock, kind, bank and row of each recorded command, in order.

    The bank of a command for all banks is -1, as is the row of all but activates.
    """
    return state[state[LOG] : state[LOG_END]].reshape(-1, _LOG_WORDS).copy()


@njit(cache=True, _nrt=False)
def _record(state, clock, kind, bank, row):  # type: ignore[no-untyped-def]
    place = state[LOG_END]
    if place < state.size:
        state[place] = clock
        state[place + 1] = kind
        state[place + 2] = bank
        state[place + 3] = row
        state[LOG_END] = place + _LOG_WORDS


@njit(cache=True, _nrt=False, inline="always")
def locate(state, line):  # type: ignore[no-untyped-def]
    """(bank, row) of a line; the bank group is the upper part of the bank."""
    column = line >> state[COLUMN_HIGH_SHIFT]
    low = state[COLUMN_LOW_BITS]
    column = ((column & ((1 << (state[COLUMN_BITS] - low)) - 1)) << low) | (line & ((1 << low) - 1))
    group = (line >> state[GROUP_FIELD]) & ((1 << state[GROUP_BITS]) - 1)
    bank = (line >> state[BANK_FIELD]) & ((1 << state[BANK_BITS]) - 1)
    row = (line >> state[ROW_SHIFT]) & ((1 << state[ROW_BITS]) - 1)
    if state[XOR]:
        group ^= column & ((1 << state[GROUP_BITS]) - 1)
        column >>= state[GROUP_BITS]
        bank ^= column & ((1 << state[BANK_BITS]) - 1)
        row ^= (column >> state[BANK_BITS]) & ((1 << state[ROW_BITS]) - 1)
    return (group << state[BANK_BITS]) | bank, row


# The next command is the least key over the banks: clocks to wait, column before row, age, bank.
# Loops over banks are vectorised; what was stored for one bank just before such a loop would stall
# it, so the bank of the last command is left out of them and compared on its own.


@njit(cache=True, _nrt=False, inline="always")
def _wait(ready, now):  # type: ignore[no-untyped-def]
    return min(max(ready - now, 0), _FAR) << _TIME_SHIFT


@njit(cache=True, _nrt=False)
def _least(state, now, bank):  # type: ignore[no-untyped-def]
    """The least key over all banks but `bank`."""
    best = np.int64(NEVER)
    for other in range(state[BANKS]):
        key = _wait(state[READY + other], now) | state[KEY + other]
        best = min(best, NEVER if other == bank else key)
    return best


@njit(cache=True, _nrt=False)
def _settle(state, now, bank, best):  # type: ignore[no-untyped-def]
    """Find the next command, given the least key over all banks but `bank`."""
    best = min(best, _wait(state[READY + bank], now) | state[KEY + bank])
    wait = best >> _TIME_SHIFT
    state[BEST_BANK] = best & _BANK_MASK
    state[BEST_CLOCK] = NEVER if wait >= _FAR else now + wait


@njit(cache=True, _nrt=False)
def _choose(state, bank):  # type: ignore[no-untyped-def]
    """Choose the candidate of a bank after its queue or its open row has changed."""
    slots = state[SLOTS]
    slot = state[OLDEST + bank]
    read, write, activate = 0, 0, 0
    key = bank
    ready = NEVER
    if slot >= 0:
        row = state[OPEN_ROW + bank]
        place = slots + _SLOT_WORDS * slot
        if row >= 0 and state[place + S_ROW] != row:
            limit = state[HIT_LIMIT]
            if limit == 0 or state[HITS + bank] < limit:
                hit = state[place + S_NEXT]
                while hit >= 0 and state[slots + _SLOT_WORDS * hit + S_ROW] != row:
                    hit = state[slots + _SLOT_WORDS * hit + S_NEXT]
                if hit >= 0:
                    slot = hit
                    place = slots + _SLOT_WORDS * slot
        key |= state[place + S_SEQUENCE] << _BANK_MASK_BITS
        if row < 0:
            activate = -1
            ready = max(state[NEXT_ACTIVATE + bank], state[ACTIVATE_GATE + bank])
            key |= _ROW_COMMAND
        elif state[place + S_ROW] == row:
            if state[place + S_WRITE]:
                write = -1
                gate = max(state[WRITE_GATE + bank], state[WRITE_TURN])
            else:
                read = -1
                gate = state[READ_GATE + bank]
            ready = max(state[NEXT_COLUMN + bank], gate)
            if state[OPENER_FIRST] and state[HITS + bank] > 0:
                key |= _LATER_ACCESS
        else:
            ready = state[NEXT_PRECHARGE + bank]
            key |= _ROW_COMMAND
    state[CANDIDATE + bank] = slot
    state[KEY + bank] = key
    state[READY + bank] = ready
    # A store where nothing changes would stall the loops over banks, too.
    if state[IS_READ + bank] != read:
        state[IS_READ + bank] = read
    if state[IS_WRITE + bank] != write:
        state[IS_WRITE + bank] = write
    if state[IS_ACTIVATE + bank] != activate:
        state[IS_ACTIVATE + bank] = activate


@njit(cache=True, _nrt=False)
def _settle_early(state, now, bank):  # type: ignore[no-untyped-def]
    """Let an early precharge be the next command; after `_settle`, with news of `bank`.

    A bank whose candidate hits its open row, which had an access, may be precharged for its oldest
    request to another row.
    """
    state[EARLY_READY + bank] = NEVER
    state[EARLY_KEY + bank] = bank
    row = state[OPEN_ROW + bank]
    if row >= 0 and state[HITS + bank] > 0 and state[IS_READ + bank] | state[IS_WRITE + bank]:
        slots = state[SLOTS]
        slot = state[OLDEST + bank]
        while slot >= 0 and state[slots + _SLOT_WORDS * slot + S_ROW] == row:
            slot = state[slots + _SLOT_WORDS * slot + S_NEXT]
        if slot >= 0:
            sequence = state[slots + _SLOT_WORDS * slot + S_SEQUENCE]
            state[EARLY_READY + bank] = state[NEXT_PRECHARGE + bank]
            state[EARLY_KEY + bank] = (sequence << _BANK_MASK_BITS) | bank | _ROW_COMMAND
    early = np.int64(NEVER)
    for other in range(state[BANKS]):
        key = _wait(state[EARLY_READY + other], now) | state[EARLY_KEY + other]
        early = min(early, key)
    best = _wait(state[BEST_CLOCK], now) | state[KEY + state[BEST_BANK]]
    state[BEST_IS_EARLY] = early < best
    if early < best:
        state[BEST_BANK] = early & _BANK_MASK
        state[BEST_CLOCK] = now + (early >> _TIME_SHIFT)


@njit(cache=True, _nrt=False, inline="always")
def has_room(state):  # type: ignore[no-untyped-def]
    """Whether `push` may be called: there is a place in the queue, and results are collected."""
    uncollected = state[RING_END] - state[RING_FIRST]
    return state[FREE] >= 0 and uncollected + state[QUEUED] <= state[RING_MASK]


@njit(cache=True, _nrt=False)
def push(state, clock, line, write, request):  # type: ignore[no-untyped-def]
    """Put a request into the queue in clock `clock`; `has_room` holds, clocks never fall.

    Args:
        line: address in units of a burst.
        write: 1 for a write, 0 for a read.
        request: any number; `pop` gives it back.
    """
    if state[BEST_CLOCK] < clock or state[REFRESH_DUE] < clock:
        step(state, clock - 1)
    state[NOW] = max(state[NOW], clock)
    bank, row = locate(state, line)
    slot = state[FREE]
    place = (state[SLOTS] + _SLOT_WORDS * slot) & _PLACE
    state[FREE] = state[place + S_NEXT]
    state[place + S_ROW] = row
    state[place + S_SEQUENCE] = state[NEXT_SEQUENCE]
    state[place + S_NEXT] = -1
    state[place + S_WRITE] = write
    state[place + S_REQUEST] = request
    state[NEXT_SEQUENCE] += 1
    state[QUEUED] += 1
    newest = state[NEWEST + bank]
    state[place + S_PREVIOUS] = newest
    state[NEWEST + bank] = slot
    if newest >= 0:
        state[state[SLOTS] + _SLOT_WORDS * newest + S_NEXT] = slot
        stays = state[KEY + bank] & _ROW_COMMAND == 0 or state[OPEN_ROW + bank] != row
        if stays and not state[EARLY]:
            return
    else:
        state[OLDEST + bank] = slot
    _choose(state, bank)
    now = state[NOW]
    if state[BEST_BANK] == bank or state[EARLY]:
        _settle(state, now, bank, _least(state, now, bank))
        if state[EARLY]:
            _settle_early(state, now, bank)
        return
    ready = max(state[READY + bank], now)
    best = state[BEST_CLOCK]
    if ready < best or (ready == best and state[KEY + bank] < state[KEY + state[BEST_BANK]]):
        state[BEST_CLOCK] = ready
        state[BEST_BANK] = bank


@njit(cache=True, _nrt=False)
def _column(state, clock, bank):  # type: ignore[no-untyped-def]
    """Read or write the candidate of `bank`, and take it from the queue; `_least` key after it."""
    slot = state[CANDIDATE + bank]
    place = (state[SLOTS] + _SLOT_WORDS * slot) & _PLACE
    group = state[GROUP + bank]
    now = clock + 1
    near, far = clock + state[CCD_L], clock + state[CCD_S]
    best = np.int64(NEVER)
    if state[place + S_WRITE]:
        data = clock + state[CWL] + state[BL]
        near_read, far_read = data + state[WTR_L], data + state[WTR_S]
        for other in range(state[BANKS]):
            same = state[GROUP + other] == group
            gate = max(state[READ_GATE + other], near_read if same else far_read)
            state[READ_GATE + other] = gate
            ready = max(state[READY + other], gate & state[IS_READ + other])
            gate = max(state[WRITE_GATE + other], near if same else far)
            state[WRITE_GATE + other] = gate
            ready = max(ready, gate & state[IS_WRITE + other])
            state[READY + other] = ready
            key = _wait(ready, now) | state[KEY + other]
            best = min(best, NEVER if other == bank else key)
        precharge = data + state[WR]
        state[WRITES] += 1
    else:
        data = clock + state[CL] + state[BL]
        turn = clock + state[RTW]
        state[WRITE_TURN] = turn
        for other in range(state[BANKS]):
            gate = near if state[GROUP + other] == group else far
            gate = max(state[READ_GATE + other], gate)
            state[READ_GATE + other] = gate
            gate = (gate & state[IS_READ + other]) | (turn & state[IS_WRITE + other])
            ready = max(state[READY + other], gate)
            state[READY + other] = ready
            key = _wait(ready, now) | state[KEY + other]
            best = min(best, NEVER if other == bank else key)
        precharge = clock + state[RTP]
        state[READS] += 1
    state[NEXT_PRECHARGE + bank] = max(state[NEXT_PRECHARGE + bank], precharge)
    if state[HITS + bank] > 0:
        state[ROW_HITS] += 1
    state[HITS + bank] += 1
    state[DATA_CLOCKS] += state[BL]
    end = state[RING] + 2 * (state[RING_END] & state[RING_MASK])
    state[end] = data + state[DELAY]
    state[end + 1] = state[place + S_REQUEST]
    state[RING_END] += 1
    before, after = state[place + S_PREVIOUS], state[place + S_NEXT]
    if before >= 0:
        state[state[SLOTS] + _SLOT_WORDS * before + S_NEXT] = after
    else:
        state[OLDEST + bank] = after
    if after >= 0:
        state[state[SLOTS] + _SLOT_WORDS * after + S_PREVIOUS] = before
    else:
        state[NEWEST + bank] = before
    state[place + S_NEXT] = state[FREE]
    state[FREE] = slot
    state[QUEUED] -= 1
    return best


@njit(cache=True, _nrt=False)
def _activate(state, clock, bank):  # type: ignore[no-untyped-def]
    """Open the row of the candidate of `bank`; `_least` key after it."""
    place = state[SLOTS] + _SLOT_WORDS * state[CANDIDATE + bank]
    state[OPEN_ROW + bank] = state[place + S_ROW]
    state[HITS + bank] = 0
    state[NEXT_COLUMN + bank] = clock + state[RCD]
    state[NEXT_PRECHARGE + bank] = clock + state[RAS]
    number = state[ACTIVATE_NUMBER] & 3
    state[FOUR_ACTIVATES + number] = clock
    state[ACTIVATE_NUMBER] += 1
    fifth = state[FOUR_ACTIVATES + ((number + 1) & 3)] + state[FAW]
    near, far = max(fifth, clock + state[RRD_L]), max(fifth, clock + state[RRD_S])
    group = state[GROUP + bank]
    now = clock + 1
    best = np.int64(NEVER)
    for other in range(state[BANKS]):
        gate = near if state[GROUP + other] == group else far
        gate = max(state[ACTIVATE_GATE + other], gate)
        state[ACTIVATE_GATE + other] = gate
        ready = max(state[READY + other], gate & state[IS_ACTIVATE + other])
        state[READY + other] = ready
        key = _wait(ready, now) | state[KEY + other]
        best = min(best, NEVER if other == bank else key)
    state[ACTIVATES] += 1
    return best


@njit(cache=True, _nrt=False)
def _refresh(state, until):  # type: ignore[no-untyped-def]
    """The next command of a refresh that is due, if its clock is at most `until`."""
    open_banks = 0
    precharge = max(state[REFRESH_DUE], state[NOW])
    refresh = precharge
    for bank in range(state[BANKS]):
        if state[OPEN_ROW + bank] >= 0:
            open_banks += 1
            precharge = max(precharge, state[NEXT_PRECHARGE + bank])
        refresh = max(refresh, state[NEXT_ACTIVATE + bank])
    clock = precharge if open_banks else refresh
    if clock > until:
        return False
    busy = clock + (state[RP] if open_banks else state[RFC])
    for bank in range(state[BANKS]):
        if not open_banks or state[OPEN_ROW + bank] >= 0:
            state[NEXT_ACTIVATE + bank] = busy
        state[OPEN_ROW + bank] = -1
        state[EARLY_READY + bank] = NEVER
        _choose(state, bank)
    state[BEST_IS_EARLY] = 0
    if open_banks:
        state[PRECHARGES] += open_banks
        _record(state, clock, PRECHARGE_ALL, -1, -1)
    else:
        state[REFRESHES] += 1
        state[REFRESH_DUE] += state[REFI]
        _record(state, clock, REFRESH, -1, -1)
    state[LAST_COMMAND] = clock
    state[NOW] = clock + 1
    _settle(state, clock + 1, 0, _least(state, clock + 1, 0))
    return True


@njit(cache=True, _nrt=False)
def advance(state, until):  # type: ignore[no-untyped-def]
    """Issue the next command, if its clock is at most `until`; whether one was issued."""
    clock = state[BEST_CLOCK]
    if state[REFRESH_DUE] <= clock:
        return state[REFRESH_DUE] <= until and _refresh(state, until)
    if clock > until:
        return False
    bank = state[BEST_BANK] & _BANK_MASK
    state[LAST_COMMAND] = clock
    state[NOW] = clock + 1
    if state[KEY + bank] & _ROW_COMMAND == 0 and not state[BEST_IS_EARLY]:
        _record(state, clock, WRITE if state[IS_WRITE + bank] else READ, bank, -1)
        best = _column(state, clock, bank)
    elif state[IS_ACTIVATE + bank]:
        best = _activate(state, clock, bank)
        _record(state, clock, ACTIVATE, bank, state[OPEN_ROW + bank])
    else:
        _record(state, clock, PRECHARGE, bank, -1)
        state[OPEN_ROW + bank] = -1
        state[NEXT_ACTIVATE + bank] = clock + state[RP]
        state[PRECHARGES] += 1
        best = _least(state, clock + 1, bank)
    _choose(state, bank)
    _settle(state, clock + 1, bank, best)
    if state[EARLY]:
        _settle_early(state, clock + 1, bank)
    return True


@njit(cache=True, _nrt=False)
def step(state, until):  # type: ignore[no-untyped-def]
    """Issue all commands up to clock `until`.

    Returns:
        The clock of the next command or refresh, or NEVER if the queue is empty (a refresh of an
        idle channel is made up for when the next request arrives).
    """
    while advance(state, until):
        pass
    if state[QUEUED] == 0:
        return NEVER
    return max(until + 1, min(state[BEST_CLOCK], state[REFRESH_DUE]))


@njit(cache=True, _nrt=False)
def pop(state):  # type: ignore[no-untyped-def]
    """The next finished request (its last data pass at ``state[POPPED_AT]``), or -1."""
    first = state[RING_FIRST]
    if first == state[RING_END]:
        return -1
    place = state[RING] + 2 * (first & state[RING_MASK])
    state[RING_FIRST] = first + 1
    state[POPPED_AT] = state[place]
    return state[place + 1]
