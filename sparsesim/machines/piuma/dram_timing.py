"""One 8-byte DRAM access: bank with an open row, data bus of its channel, refresh.

Requests to a channel are served in the order they reach it. A row hit sends its column command as
soon as its bank is free; a miss activates first, a conflict precharges before that (not before
tRAS). The data bus carries one burst at a time. Each refresh interval begins with tRFC clocks in
which no request starts.
"""

from __future__ import annotations

import numba

from sparsesim.machines.piuma.state import (
    DC_HIT,
    DC_MISS,
    DC_WAIT,
    DC_WORDS,
    DRAM_BANK,
    DRAM_COUNTS,
    P_BANKS,
    P_BURST,
    P_BUS_BASE,
    P_CHANNEL_SHIFT,
    P_CHANNELS,
    P_DRAM_COUNT_BASE,
    P_DRAM_REQUEST,
    P_DRAM_RESPONSE,
    P_ROW_SHIFT,
    P_TCL,
    P_TRAS,
    P_TRCD,
    P_TREFI,
    P_TRFC,
    P_TRP,
    Int64Array,
)


@numba.njit(cache=True, inline="always")
def dram_access(
    dram: Int64Array, p: Int64Array, time: int, core: int, word: int, bursts: int
) -> int:
    """Clock at which the access of `word` in `core`'s DRAM, sent at `time`, is answered.

    Args:
        dram: banks (free from, open row, activated), buses, counters, and one word more.
        word: word address inside the core's DRAM.
        bursts: 1 for a read or a write, 2 for an atomic.
    """
    channel = core * p[P_CHANNELS] + (word & (p[P_CHANNELS] - 1))
    row = word >> (p[P_CHANNEL_SHIFT] + p[P_ROW_SHIFT])
    # The masks change nothing: they tell the compiler that an index is not negative.
    bank = ((channel * p[P_BANKS] + (row & (p[P_BANKS] - 1))) * DRAM_BANK) & 0x7FFFFFFF
    count = (p[P_DRAM_COUNT_BASE] + core * DRAM_COUNTS) & 0x7FFFFFFF
    begin = time + p[P_DRAM_REQUEST]
    command = max(begin, dram[bank])
    if p[P_TREFI] > 0:
        # The beginning of the refresh interval of the last access saves most divisions.
        phase = command - dram[dram.size - 1]
        if phase < 0 or phase >= p[P_TREFI]:
            phase = command % p[P_TREFI]
            dram[dram.size - 1] = command - phase
        if phase < p[P_TRFC]:
            command += p[P_TRFC] - phase
    if dram[bank + 1] == row:
        dram[count + DC_HIT] += 1
    else:
        dram[count + DC_MISS] += 1
        if dram[bank + 1] >= 0:
            command = max(command, dram[bank + 2] + p[P_TRAS]) + p[P_TRP]
        dram[bank + 1] = row
        dram[bank + 2] = command
        command += p[P_TRCD]
    bus = (p[P_BUS_BASE] + channel) & 0x7FFFFFFF
    data = max(command + p[P_TCL], dram[bus])
    end = data + bursts * p[P_BURST]
    dram[bus] = end
    dram[bank] = end - p[P_TCL]
    dram[count + DC_WAIT] += data - p[P_TCL] - begin
    dram[count + DC_WORDS] += bursts
    return end + p[P_DRAM_RESPONSE]
