"""Tags of the data caches: set-associative, least recently used, one per pipeline.

Only timing is kept here. The caches are not coherent, so a kernel may cache only what nobody
writes while it runs; values therefore always come from memory.
"""

from __future__ import annotations

import numba

from sparsesim.machines.piuma.state import P_SETS, P_WAYS, Int64Array

ENTRY = 3  # words per line; a set is its lines (or -1), when their data are there, last uses


#: Changes nothing: tells the compiler that an index is not negative.
INDEX = 0x7FFFFFFF


@numba.njit(cache=True, inline="always")
def find_line(cache: Int64Array, p: Int64Array, pipe: int, line: int) -> int:
    """Place of `line` in the cache of `pipe`, or -1; `ways` on is its clock, then its last use."""
    ways = p[P_WAYS]
    first = (pipe * p[P_SETS] + (line & (p[P_SETS] - 1))) * ways * ENTRY & INDEX
    # All ways are looked at: a way out of the loop could not be predicted.
    found = -1
    if ways == 4:  # the usual machine, unrolled
        found = first if cache[first] == line else found
        found = first + 1 if cache[first + 1] == line else found
        found = first + 2 if cache[first + 2] == line else found
        found = first + 3 if cache[first + 3] == line else found
    else:
        for way in range(ways):
            found = first + way if cache[first + way] == line else found
    return found


@numba.njit(cache=True, inline="always")
def place_line(
    cache: Int64Array, p: Int64Array, pipe: int, line: int, ready: int, used: int
) -> None:
    """Put `line` in place of the least recently used line of its set, the first if several."""
    ways = p[P_WAYS]
    first = (pipe * p[P_SETS] + (line & (p[P_SETS] - 1))) * ways * ENTRY & INDEX
    victim = first
    for way in range(1, ways):
        if cache[first + way + 2 * ways] < cache[victim + 2 * ways]:
            victim = first + way
    cache[victim] = line
    cache[victim + ways] = ready
    cache[victim + 2 * ways] = used
