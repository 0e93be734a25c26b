"""Outer-product baseline: multiply column of A by row of B and store, then merge row by row.

A is in compressed sparse columns (made before the run). Each element of a column reserves room for
a row of B in the list of its row of C with one atomic, then stores (column, product) pairs. The
lists begin at offsets from a symbolic pass, also made before the run. After a barrier, rows are
tokens: a thread adds a list up in a dense accumulator in DRAM and copies the row to C.
"""

from __future__ import annotations

import numpy as np

from sparsesim.machines.piuma.kernels.product import Product, operand_b, result
from sparsesim.machines.piuma.kernels.rowwise import FINISHED, PHASES, accumulators
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.memory_image import Region, region
from sparsesim.machines.piuma.spec import PiumaSpec

TEXT = """
multi:
    mul   private, gtid, COLUMNS
    bne   gtid, zero, started
    add   last, zero, INNER
    qset  zero, zero, last
    add   last, zero, ROWS
    add   k, zero, 1
    qset  k, zero, last
    mark  1
started:
    barrier 1
take_column:
    pop   k, zero
    blt   k, zero, multiplied
    ld    at, AT_PTR + k
    ld    atend, AT_PTR + k + 1
    ld    pfirst, B_PTR + k
    ld    pend, B_PTR + k + 1
    sub   length, pend, pfirst
    beq   length, zero, take_column
    bge   at, atend, take_column
element:
    ld    row, AT_IDX + at
    ld    aval, AT_VAL + at
    aadd  to, END + row, length
    add   p, pfirst, 0
product:
    ld    col, B_IDX + p
    ld    bval, B_VAL + p
    fmul  prod, aval, bval
    st    col, PART_COLUMN + to
    st    prod, PART_VALUE + to
    add   to, to, 1
    add   p, p, 1
    blt   p, pend, product
    add   at, at, 1
    blt   at, atend, element
    jmp   take_column
multiplied:
    barrier 1
    .scope private
    bne   gtid, zero, merging
    mark  2
merging:
    add   queue, zero, 1
take_row:
    pop   row, queue
    blt   row, zero, finished
    ld    p, BEGIN + row
    ld    pend, END + row
    bge   p, pend, take_row
    add   stamp, row, 1
    add   count, private, 0
merge:
    ld    col, PART_COLUMN + p
    ld    prod, PART_VALUE + p
    ld    seen, private + col + MARKER
    beq   seen, stamp, accumulate
    st    stamp, private + col + MARKER
    st    prod, private + col + SUM
    st    col, count + LIST
    add   count, count, 1
    jmp   merged
accumulate:
    ld    seen, private + col + SUM
    fadd  seen, seen, prod
    st    seen, private + col + SUM
merged:
    add   p, p, 1
    blt   p, pend, merge
    sub   seen, count, private
    aadd  to, SPAD + C_CURSOR, seen
    mul   rowkey, row, COLUMNS
    add   p, private, 0
copy:
    ld    col, p + LIST
    ld    prod, private + col + SUM
    add   col, col, rowkey
    st    col, C_KEY + to
    st    prod, C_VAL + to
    add   to, to, 1
    add   p, p, 1
    blt   p, count, copy
    jmp   take_row
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, unsorted within a row."""
    threads = spec.threads_per_core
    columns = product.a.transpose()
    starts = np.cumsum(product.products_of_rows) - product.products_of_rows
    cached = spec.cache_inputs
    return Kernel(
        text=TEXT + FINISHED,
        constants={
            "ROWS": product.rows,
            "INNER": product.a.columns,
            "COLUMNS": product.columns,
            "C_CURSOR": 2,
        },
        regions=[
            region("AT_PTR", columns.indptr, "metadata", cached),
            region("AT_IDX", columns.indices, "metadata", cached),
            region("AT_VAL", columns.values, "a", cached),
            *operand_b(product, spec),
            region("BEGIN", starts, "metadata", cached),
            region("END", starts, "metadata", False),
            Region("PART_COLUMN", product.partial_products, "metadata"),
            Region("PART_VALUE", product.partial_products, "output"),
            *accumulators(product, spec),
            *result(product),
        ],
        core_barrier=threads,
        global_barrier=spec.cores * threads,
        phases=PHASES,
    )
