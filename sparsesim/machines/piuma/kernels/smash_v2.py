"""SMASH V2: row tokens, hashing by low-order bits, threads write back.

Every row has a private region of the table (a power of two, at least twice its bound), so that no
row can fill it. Rows are tokens from the core's queue, in the hash phase and again in the
write-back phase, which scans, copies and clears the regions.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.hashed_rows import hashed_rows
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.spec import PiumaSpec

TAKE_ROW = """
take_row:
    pop   row, queue
    blt   row, zero, hashed
"""
HASH = """
    and   slot, col, mask
"""
PREPARE_HASH = ""
WRITE_BACK = """
    .scope queue, mail, half, empty, first, last
    add   queue2, queue, 2
write_row:
    pop   row, queue2
    blt   row, zero, advance
    ld    count, C_LENGTH + row
    beq   count, zero, write_row
    ld    mask, NEED + row
    ld    region, OFFSET + row
    add   region, region, spad
    aadd  place, SPAD + C_CURSOR, count
    st    place, C_START + row
    add   slot, zero, 0
write_slot:
    ld    tag, region + slot + TAG
    beq   tag, empty, write_next
    ld    prod, region + slot + VAL
    st    tag, C_KEY + place
    st    prod, C_VAL + place
    st    empty, region + slot + TAG
    st    zero, region + slot + VAL
    add   place, place, 1
write_next:
    add   slot, slot, 1
    blt   slot, mask, write_slot
    jmp   write_row
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, unsorted within a row."""
    return hashed_rows(product, spec, TAKE_ROW, PREPARE_HASH, HASH, WRITE_BACK)
