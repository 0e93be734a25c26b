"""SMASH V4, our own: tokens finer than a row, one shared table, a multiplicative hash.

A token is `chunk` consecutive elements of A, whatever rows they are in, so a heavy row is shared by
many threads. All rows of a window share one table; the slot is the high part of tag x a constant,
which spreads any pattern of columns. Slots of new elements are appended to a dense array, a piece
per row; after the window the DMA engine gathers tags and values through them and empties those
slots only. The loop over a row of B is unrolled by two.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product, operand_a, operand_b, result
from sparsesim.machines.piuma.kernels.windows import (
    CLEAR_BY_DMA,
    CONTROL_WORDS,
    FINISHED,
    HEAVY_ROW,
    MANAGER,
    PHASES,
    PLAN_MULTI,
    TAKE_WINDOW,
    TWO_PHASES,
    plan_sizes,
    row_bounds,
    table_slots,
)
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.memory_image import Region
from sparsesim.machines.piuma.spec import PiumaSpec

#: 2^64 / golden ratio, odd (Knuth, TAOCP 3, 6.4), as a signed word.
MULTIPLIER = 0x9E3779B97F4A7C15 - 2**64

#: The manager posts tokens: chunks of the window's elements of A, and its rows for the write-back.
POST_TOKENS = """
    ld    low, A_PTR + first
    ld    high, A_PTR + last
    sub   high, high, low
    add   high, high, CHUNK - 1
    shr   high, high, CHUNK_SHIFT
    qset  queue, zero, high
    qset  queue + 2, first, last
"""
TOKENS = """
    ld    kfirst, A_PTR + first
    ld    klast, A_PTR + last
    add   one, zero, 1
take_token:
    pop   k, queue
    blt   k, zero, hashed
    shl   k, k, CHUNK_SHIFT
    add   k, k, kfirst
    add   kend, k, CHUNK
    min   kend, kend, klast
element:
    ld    row, A_ROW + k
    ld    j, A_IDX + k
    ld    aval, A_VAL + k
    ld    p, B_PTR + j
    ld    pend, B_PTR + j + 1
    mul   rowkey, row, COLUMNS
    bge   p, pend, element_done
    ld    dense, OFFSET + row
    add   dense, dense, spad
    sub   counter, row, first
    add   counter, counter, spad
    sub   plast, pend, 1
    bge   p, plast, last_product
two_products:
{first}
{second}
    add   p, p, 2
    blt   p, plast, two_products
    bge   p, pend, element_done
last_product:
{last}
element_done:
    add   k, k, 1
    blt   k, kend, element
    jmp   take_token
{taken}
hashed:
    barrier 0
    .scope queue, mail, half, empty, first, last
    add   tags, spad, TAG
    add   values, spad, VAL
write_row:
    pop   row, queue + 2
    blt   row, zero, written
    sub   at, row, first
    add   at, at, spad
    ld    count, at + COUNT
    beq   count, zero, write_row
    st    zero, at + COUNT
    ld    dense, OFFSET + row
    add   dense, dense, spad
    aadd  place, SPAD + C_CURSOR, count
    st    place, C_START + row
    st    count, C_LENGTH + row
    add   slots, dense, PLACE
    add   to, place, C_KEY
    dma   gather, tags, to, count, slots
    add   to, place, C_VAL
    dma   gather, values, to, count, slots
    dma   scatter_fill, empty, tags, count, slots
    dma   scatter_fill, zero, values, count, slots
    jmp   write_row
written:
    dmawait
    jmp   advance
"""
#: Product `{ahead}` elements from `p`; a slot that is not empty leads to `TAKEN` and back.
PRODUCT = """
    ld    col, B_IDX + p + {ahead}
    ld    prod, B_VAL + p + {ahead}
    fmul  prod, aval, prod
    add   tag, col, rowkey
    mul   slot, tag, multiplier
    shr   slot, slot, HASH_SHIFT
probe_{name}:
    cas   old, spad + slot + TAG, empty, tag
    bne   old, empty, taken_{name}
    aadd  col, counter + COUNT, one
    st    slot, dense + col + PLACE
accumulate_{name}:
    afadd prod, spad + slot + VAL
"""
TAKEN = """
taken_{name}:
    beq   old, tag, accumulate_{name}
    add   slot, slot, 1
    and   slot, slot, SLOTS - 1
    jmp   probe_{name}
"""
COPIES = {"first": 0, "second": 1, "last": 0}
#: Rows of the elements of A, for the tokens.
STORE_ROW = """
    st    row, A_ROW + k
"""
MOST_ROWS = 4096


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, unsorted within a row."""
    most_rows = min(MOST_ROWS, spec.spad_words // 16)
    bounds = row_bounds(product)
    slots = table_slots(spec, 3, 2 * int(bounds.sum()), most_rows, power=True)
    windows = plan_sizes(product, spec, bounds, slots // 2, slots, most_rows)
    threads = spec.threads_per_core
    chunk_shift = (spec.chunk - 1).bit_length()
    text = "".join(
        (
            PLAN_MULTI.format(element=STORE_ROW, need=""),
            CLEAR_BY_DMA,
            TAKE_WINDOW,
            TOKENS.format(
                **{name: PRODUCT.format(name=name, ahead=k) for name, k in COPIES.items()},
                taken="".join(TAKEN.format(name=name) for name in COPIES),
            ),
            HEAVY_ROW.format(prepare=""),
            FINISHED,
            MANAGER.format(post=POST_TOKENS, rows=TWO_PHASES, heavy="    barrier 0"),
        )
    )
    table = CONTROL_WORDS + most_rows
    return Kernel(
        text=text,
        constants={
            **windows.constants(product, spec),
            "COUNT": CONTROL_WORDS,
            "TAG": table,
            "VAL": table + slots,
            "PLACE": table + 2 * slots,
            "SLOTS": slots,
            "HASH_SHIFT": 64 - (slots.bit_length() - 1),
            "CHUNK": 1 << chunk_shift,
            "CHUNK_SHIFT": chunk_shift,
        },
        regions=[
            *operand_a(product, spec),
            Region("A_ROW", product.a.nnz, "metadata", True),
            *operand_b(product, spec),
            *result(product),
            *windows.regions(product),
        ],
        core_barrier=threads + 1,
        global_barrier=spec.cores * (threads + spec.single_pipelines),
        arguments={"multiplier": MULTIPLIER},
        phases=PHASES,
    )
