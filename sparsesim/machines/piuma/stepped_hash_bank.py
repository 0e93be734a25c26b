"""A hash-scratchpad bank, register by register, clock by clock.

The bank serves one request at a time. A request taken in clock t keeps the bank

- for 1 clock (LD, ST), as in `stepped`;
- for `atomic_cycles` clocks (CAS, AADD, AFADD), as in `stepped`;
- for one clock per word (FILL writes one value to consecutive words);
- for `atomic_cycles` clocks per probe and `atomic_cycles` for the sum (HASH_AADD, HASH_AFADD): the
  clocks that the same compare-exchanges and the add take as single requests.

After d clocks, in clock t + d, the response stands on the output until it is taken, and the next
request may be taken in the clock in which the response is.

A hash operation claims or finds the slot of a tag and adds to its value. From the home slot on,
in steps of 1 modulo the region: a slot with the tag is taken; a free slot is claimed for the tag;
after as many probes as the region has slots the response is FULL and nothing has changed. The
region needs a power of two of slots, and the tag must not be EMPTY. Probing stops at the first
free slot, so a tag stands in one slot only as long as nobody frees slots one by one and every user
of a tag gives the same home.

Sums of words: AADD modulo 2^64; AFADD in binary64, to nearest even, subnormals kept; a NaN is
QUIET_NAN whatever payload came in.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sparsesim.machines.piuma.hash_bank_ports import (
    AADD,
    AFADD,
    CAS,
    CLAIMED,
    DONE,
    EMPTY,
    FILL,
    FULL,
    HASH_AADD,
    HASH_AFADD,
    LD,
    QUIET_NAN,
    ST,
    HashBankResponse,
    HashBankSpec,
    HashBankStimulus,
    Words,
    no_response,
)

_EMPTY = np.uint64(EMPTY)
_NAN = np.uint64(QUIET_NAN)


def run_hash_bank(
    spec: HashBankSpec, stimulus: HashBankStimulus, words: Words | None = None
) -> HashBankResponse:
    """Outputs of one bank from reset, in each clock of `stimulus`.

    `words` (spec.words,) is the bank's memory, which reset does not touch: it is read and written
    in place. Without it the memory begins with zeros.
    """
    clocks = len(stimulus.i_valid)
    response = no_response(clocks)
    memory = np.zeros(spec.words, np.uint64) if words is None else words
    _run(spec.slots, spec.atomic_cycles, stimulus, response, memory, memory.view(np.float64))
    return response


@njit(cache=True)
def _run(
    slots: int,
    atomic_cycles: int,
    stimulus: HashBankStimulus,
    response: HashBankResponse,
    memory: Words,
    floats: np.ndarray,
) -> None:
    addend = np.zeros(1, np.uint64)
    float_addend = addend.view(np.float64)
    busy = False
    op, address, slot, mask = 0, 0, 0, 0
    tag, value = np.uint64(0), np.uint64(0)
    step = 0  # clocks of the atomic that are over
    count = 0  # probes, or words filled
    adding = False
    claimed = False
    read = np.uint64(0)  # the memory's output register
    o_valid, o_status, o_slot, o_shows = False, DONE, 0, False
    for clock in range(stimulus.i_valid.size):
        if o_valid:
            response.o_valid[clock] = True
            response.o_status[clock] = o_status
            response.o_slot[clock] = o_slot
            if o_shows:
                response.o_value[clock, 0] = read
        ready = not busy and (not o_valid or stimulus.o_ready[clock])
        response.i_ready[clock] = ready
        if stimulus.o_ready[clock]:
            o_valid = False
        if not busy:
            if not (stimulus.i_valid[clock] and ready):
                continue
            busy = True
            op = stimulus.i_op[clock]
            address = stimulus.i_address[clock]
            mask = stimulus.i_mask[clock]
            slot = stimulus.i_slot[clock] & mask
            tag = stimulus.i_tag[clock, 0]
            value = stimulus.i_value[clock, 0]
            step, count, adding, claimed = 0, 0, False, False

        done, status, shows = False, DONE, True
        if op == FILL:
            memory[(address + count) % (2 * slots)] = value
            done, shows = count == mask, False
            count += 1
        elif op == ST:
            memory[address] = value
            done, shows = True, False
        elif op == LD:
            read = memory[address]
            done = True
        else:
            hashes = op in (HASH_AADD, HASH_AFADD)
            where = address
            if hashes:
                where = (address + slot) % slots + (slots if adding else 0)
            if step == 0:
                read = memory[where]
            step += 1
            if step == atomic_cycles:
                step = 0
                if hashes and not adding:
                    if read == tag:
                        adding = True
                    elif read == _EMPTY:
                        memory[where] = tag
                        adding, claimed = True, True
                    elif count == mask:
                        done, status, shows = True, FULL, False
                    else:
                        slot = (slot + 1) & mask
                        count += 1
                else:
                    done = True
                    status = CLAIMED if claimed else DONE
                    if op == CAS:
                        if read == tag:
                            memory[where] = value
                    elif op in (AADD, HASH_AADD):
                        memory[where] = read + value
                    elif op in (AFADD, HASH_AFADD):
                        addend[0] = value
                        floats[where] += float_addend[0]
                        if np.isnan(floats[where]):
                            memory[where] = _NAN
        if done:
            busy = False
            o_valid, o_status, o_shows = True, status, shows
            o_slot = slot if adding else 0
