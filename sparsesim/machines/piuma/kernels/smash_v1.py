"""SMASH V1: rows dealt to threads statically, hashing by high-order bits, sorted write-back.

The slot is taken from the high-order bits of the column, so a row's region is nearly sorted. In the
write-back a thread goes through the regions of its own rows and sorts each by insertion before it
copies it to C, whose rows are therefore sorted.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.hashed_rows import hashed_rows
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.spec import PiumaSpec

TAKE_ROW = """
    add   row, first, tid
    jmp   test_row
take_row:
    add   row, row, CORE_THREADS
test_row:
    bge   row, last, hashed
"""
#: Columns have COLUMN_BITS bits; the slot is as many of the highest as the region has.
PREPARE_HASH = """
    add   shift, mask, 1
    log2  shift, shift
    sub   shift, shift, COLUMN_BITS
    sub   shift, zero, shift
    max   shift, shift, 0
"""
HASH = """
    shr   slot, col, shift
"""
WRITE_BACK = """
    .scope queue, mail, half, empty, first, last
    add   row, first, tid
    jmp   write_test
write_row:
    add   row, row, CORE_THREADS
write_test:
    bge   row, last, advance
    ld    count, C_LENGTH + row
    beq   count, zero, write_row
    ld    mask, NEED + row
    ld    region, OFFSET + row
    add   region, region, spad
    aadd  place, SPAD + C_CURSOR, count
    st    place, C_START + row
    add   slot, zero, 0
    add   sorted, zero, 0
sort_slot:
    ld    tag, region + slot + TAG
    beq   tag, empty, sort_next
    ld    prod, region + slot + VAL
    st    empty, region + slot + TAG
    st    zero, region + slot + VAL
    add   to, sorted, 0
sort_shift:
    beq   to, zero, sort_put
    ld    old, region + to + TAG - 1
    blt   old, tag, sort_put
    ld    bval, region + to + VAL - 1
    st    old, region + to + TAG
    st    bval, region + to + VAL
    sub   to, to, 1
    jmp   sort_shift
sort_put:
    st    tag, region + to + TAG
    st    prod, region + to + VAL
    add   sorted, sorted, 1
sort_next:
    add   slot, slot, 1
    blt   slot, mask, sort_slot
    add   slot, zero, 0
write_slot:
    ld    tag, region + slot + TAG
    ld    prod, region + slot + VAL
    st    tag, C_KEY + place
    st    prod, C_VAL + place
    st    empty, region + slot + TAG
    st    zero, region + slot + VAL
    add   place, place, 1
    add   slot, slot, 1
    blt   slot, count, write_slot
    jmp   write_row
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, sorted within a row."""
    return hashed_rows(product, spec, TAKE_ROW, PREPARE_HASH, HASH, WRITE_BACK)
