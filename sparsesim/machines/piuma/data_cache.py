"""Tags of the data caches: set-associative, least recently used, one per pipeline.

Only timing is kept here. The caches are not coherent, so a kernel may cache only what nobody
writes while it runs; values therefore always come from memory.
"""

from __future__ import annotations

import numba

from sparsesim.machines.piuma.state import P_SETS, P_WAYS, Int64Array

ENTRY = 3  # line or -1, clock at which its data is there, time of last use


#: Changes nothing: tells the compiler that an index is not negative.
INDEX = 0x7FFFFFFF


@numba.njit(cache=True)
def find_line(cache: Int64Array, p: Int64Array, pipe: int, line: int) -> int:
    """Place of `line` in the cache of `pipe`, or -1."""
    ways = p[P_WAYS]
    first = (pipe * p[P_SETS] + (line & (p[P_SETS] - 1))) * ways * ENTRY & INDEX
    for way in range(ways):
        if cache[first + way * ENTRY] == line:
            return first + way * ENTRY
    return -1


@numba.njit(cache=True)
def place_line(
    cache: Int64Array, p: Int64Array, pipe: int, line: int, ready: int, used: int
) -> None:
    """Put `line` in place of the least recently used line of its set, the first if several."""
    ways = p[P_WAYS]
    first = (pipe * p[P_SETS] + (line & (p[P_SETS] - 1))) * ways * ENTRY & INDEX
    victim = first
    for way in range(1, ways):
        entry = first + way * ENTRY
        if cache[entry + 2] < cache[victim + 2]:
            victim = entry
    cache[victim] = line
    cache[victim + 1] = ready
    cache[victim + 2] = used
