"""Golden model of the hash-scratchpad bank: whole requests on a dictionary, then their clocks."""

from __future__ import annotations

import struct

from sparsesim.machines.piuma.hash_bank_ports import (
    AADD,
    AFADD,
    CAS,
    CLAIMED,
    DONE,
    EMPTY,
    FILL,
    FULL,
    HASH_AFADD,
    LD,
    QUIET_NAN,
    ST,
    HashBankResponse,
    HashBankSpec,
    HashBankStimulus,
    no_response,
)

Memory = dict[int, int]


def float_sum(x: int, y: int) -> int:
    """Bits of the sum of two binary64 numbers given as bits."""
    a, b = struct.unpack("<2d", struct.pack("<2Q", x, y))
    total: float = a + b
    return QUIET_NAN if total != total else int.from_bytes(struct.pack("<d", total), "little")


def _sum(op: int, x: int, y: int) -> int:
    return float_sum(x, y) if op in (AFADD, HASH_AFADD) else (x + y) % 2**64


def serve(
    spec: HashBankSpec,
    memory: Memory,
    op: int,
    address: int,
    home: int,
    mask: int,
    tag: int,
    value: int,
) -> tuple[int, int, int, int]:
    """Serve one request at once; returns (clocks, status, slot, value of the response)."""
    if op == FILL:
        for k in range(mask + 1):
            memory[(address + k) % spec.words] = value
        return mask + 1, DONE, 0, 0
    if op == ST:
        memory[address] = value
        return 1, DONE, 0, 0
    old = memory.get(address, 0)
    if op == LD:
        return 1, DONE, 0, old
    if op == CAS:
        if old == tag:
            memory[address] = value
        return spec.atomic_cycles, DONE, 0, old
    if op in (AADD, AFADD):
        memory[address] = _sum(op, old, value)
        return spec.atomic_cycles, DONE, 0, old
    slot = home & mask
    for probe in range(1, mask + 2):
        place = (address + slot) % spec.slots
        found = memory.get(place, 0)
        if found in (tag, EMPTY):
            memory[place] = tag
            old = memory.get(spec.slots + place, 0)
            memory[spec.slots + place] = _sum(op, old, value)
            status = DONE if found == tag else CLAIMED
            return (probe + 1) * spec.atomic_cycles, status, slot, old
        slot = (slot + 1) & mask
    return (mask + 1) * spec.atomic_cycles, FULL, 0, 0


def run_reference(spec: HashBankSpec, stimulus: HashBankStimulus) -> HashBankResponse:
    """Outputs of one bank from reset, with a memory of zeros, in each clock of `stimulus`."""
    clocks = len(stimulus.i_valid)
    out = no_response(clocks)
    memory: Memory = {}
    done_at = 0
    waiting: tuple[int, int, int] | None = None
    for t in range(clocks):
        if t < done_at:
            continue
        if waiting is not None:
            out.o_valid[t] = True
            out.o_status[t], out.o_slot[t], out.o_value[t, 0] = waiting
            if stimulus.o_ready[t]:
                waiting = None
        out.i_ready[t] = waiting is None
        if waiting is None and stimulus.i_valid[t]:
            lasts, *waiting_now = serve(
                spec,
                memory,
                int(stimulus.i_op[t]),
                int(stimulus.i_address[t]),
                int(stimulus.i_slot[t]),
                int(stimulus.i_mask[t]),
                int(stimulus.i_tag[t, 0]),
                int(stimulus.i_value[t, 0]),
            )
            waiting = (waiting_now[0], waiting_now[1], waiting_now[2])
            done_at = t + lasts
    return out
