"""The body of SMASH V1 and V2: a private table region per row, (tag, value) in the scratchpad."""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product, operand_a, operand_b, result
from sparsesim.machines.piuma.kernels.windows import (
    CLEAR_BY_THREADS,
    CONTROL_WORDS,
    FINISHED,
    HEAVY_ROW,
    MANAGER,
    NEED_REGION,
    PHASES,
    PLAN_MULTI,
    TAKE_WINDOW,
    TWO_PHASES,
    plan_sizes,
    region_needs,
    table_slots,
)
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.spec import PiumaSpec

POST_ROWS = """
    qset  queue, first, last
    qset  queue + 2, first, last
"""
ROWS = """
{take_row}
    ld    k, A_PTR + row
    ld    kend, A_PTR + row + 1
    ld    mask, NEED + row
    beq   mask, zero, take_row
    ld    region, OFFSET + row
    add   region, region, spad
    sub   mask, mask, 1
    mul   rowkey, row, COLUMNS
    add   count, zero, 0
{prepare_hash}
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
{hash}
probe:
    cas   old, region + slot + TAG, empty, tag
    beq   old, tag, accumulate
    bne   old, empty, collision
    add   count, count, 1
accumulate:
    afadd prod, region + slot + VAL
    add   p, p, 1
    blt   p, pend, product
element_done:
    add   k, k, 1
    blt   k, kend, element
    st    count, C_LENGTH + row
    jmp   take_row
collision:
    add   slot, slot, 1
    and   slot, slot, mask
    jmp   probe
hashed:
    barrier 0
"""


def hashed_rows(
    product: Product,
    spec: PiumaSpec,
    take_row: str,
    prepare_hash: str,
    hash_: str,
    write_back: str,
) -> Kernel:
    """Assemble the parts that V1 and V2 differ in."""
    needs = region_needs(product)
    slots = table_slots(spec, 2, int(needs.sum()))
    windows = plan_sizes(product, spec, needs, slots, slots)
    threads = spec.threads_per_core
    text = "".join(
        (
            PLAN_MULTI.format(element="", need=NEED_REGION),
            CLEAR_BY_THREADS,
            TAKE_WINDOW,
            ROWS.format(take_row=take_row, prepare_hash=prepare_hash, hash=hash_),
            write_back,
            HEAVY_ROW.format(prepare=""),
            FINISHED,
            MANAGER.format(post=POST_ROWS, rows=TWO_PHASES, heavy="    barrier 0"),
        )
    )
    return Kernel(
        text=text,
        constants={
            **windows.constants(product, spec),
            "TAG": CONTROL_WORDS,
            "VAL": CONTROL_WORDS + slots,
            "SLOTS": slots,
            "COLUMN_BITS": (product.columns - 1).bit_length(),
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
