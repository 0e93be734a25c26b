"""SMASH V3: fragmented memory. A tag table that points into dense arrays, written back by DMA.

The table holds (tag, offset); keys and values are appended to dense arrays, a piece per row. When a
row is done its thread hands three descriptors to the DMA engine (copy the keys, copy the values,
empty the row's region of the table) and takes the next row: the write-back runs beside the hashing.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product, operand_a, operand_b, result
from sparsesim.machines.piuma.kernels.windows import (
    CLEAR_BY_DMA,
    CONTROL_WORDS,
    FINISHED,
    HEAVY_ROW,
    MANAGER,
    NEED_REGION,
    PHASES,
    PLAN_MULTI,
    TAKE_WINDOW,
    plan_sizes,
    region_needs,
    table_slots,
)
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.spec import PiumaSpec

ROWS = """
take_row:
    pop   row, queue
    blt   row, zero, hashed
    ld    k, A_PTR + row
    ld    kend, A_PTR + row + 1
    ld    mask, NEED + row
    beq   mask, zero, take_row
    ld    region, OFFSET + row
    shr   dense, region, 1
    add   region, region, spad
    add   dense, dense, spad
    sub   mask, mask, 1
    mul   rowkey, row, COLUMNS
    add   next, dense, 0
element:
    ld    j, A_IDX + k
    ld    aval, A_VAL + k
    ld    p, B_PTR + j
    ld    pend, B_PTR + j + 1
    bge   p, pend, element_done
product:
    ld    col, B_IDX + p
    ld    bval, B_VAL + p
    fmul  prod, aval, bval
    add   tag, col, rowkey
    and   slot, col, mask
probe:
    cas   old, region + slot + TAG, empty, tag
    beq   old, tag, accumulate
    bne   old, empty, collision
    st    next, region + slot + PLACE
    st    tag, next + KEY
    st    prod, next + VALUE
    add   next, next, 1
    add   p, p, 1
    blt   p, pend, product
    jmp   element_done
accumulate:
    ld    old, region + slot + PLACE
    afadd prod, old + VALUE
    add   p, p, 1
    blt   p, pend, product
element_done:
    add   k, k, 1
    blt   k, kend, element
    sub   old, next, dense
    beq   old, zero, take_row
    aadd  p, SPAD + C_CURSOR, old
    st    p, C_START + row
    st    old, C_LENGTH + row
    add   col, dense, KEY
    add   tag, p, C_KEY
    dma   copy, col, tag, old
    add   col, dense, VALUE
    add   tag, p, C_VAL
    dma   copy, col, tag, old
    add   col, region, TAG
    add   mask, mask, 1
    dma   fill, empty, col, mask
    jmp   take_row
collision:
    add   slot, slot, 1
    and   slot, slot, mask
    jmp   probe
hashed:
    dmawait
    jmp   advance
"""
#: The dense row of a heavy window lies where the offsets were: empty it first.
CLEAR_PLACES = """
    mul   slot, tid, HEAVY_SHARE
    add   high, slot, HEAVY_SHARE
    min   high, high, HEAVY_COLUMNS
clear_place:
    bge   slot, high, places_cleared
    st    zero, spad + slot + PLACE
    add   slot, slot, 1
    jmp   clear_place
places_cleared:
    barrier 0
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, unsorted within a row."""
    needs = region_needs(product)
    slots = table_slots(spec, 3, int(needs.sum()))
    windows = plan_sizes(product, spec, needs, slots, slots)
    threads = spec.threads_per_core
    text = "".join(
        (
            PLAN_MULTI.format(element="", need=NEED_REGION),
            CLEAR_BY_DMA,
            TAKE_WINDOW,
            ROWS,
            HEAVY_ROW.format(prepare=CLEAR_PLACES),
            FINISHED,
            MANAGER.format(
                post="    qset  queue, first, last", rows="", heavy="    barrier 0\n    barrier 0"
            ),
        )
    )
    return Kernel(
        text=text,
        constants={
            **windows.constants(product, spec),
            "TAG": CONTROL_WORDS,
            "PLACE": CONTROL_WORDS + slots,
            "VAL": CONTROL_WORDS + slots,
            "KEY": CONTROL_WORDS + 2 * slots,
            "VALUE": CONTROL_WORDS + 2 * slots + slots // 2,
            "SLOTS": slots,
        },
        regions=[
            *operand_a(product, spec),
            *operand_b(product, spec),
            *result(product),
            *windows.regions(product),
        ],
        core_barrier=threads + 1,
        global_barrier=spec.cores * (threads + spec.single_pipelines),
        phases=PHASES,
    )
