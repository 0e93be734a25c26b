"""Row-wise (Gustavson) baseline: every thread has a dense accumulator of one row in DRAM.

Rows are tokens. A marker per column tells whether the accumulator's column belongs to the current
row; the columns met are listed, and the row is copied to C from that list.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product, operand_a, operand_b, result
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.memory_image import Region
from sparsesim.machines.piuma.spec import PiumaSpec

START = """
multi:
    mul   private, gtid, COLUMNS
    bne   gtid, zero, started
    add   last, zero, ROWS
    qset  zero, zero, last
    mark  1
started:
    barrier 1
"""
TEXT = """
take_row:
    pop   row, zero
    blt   row, zero, finished
    ld    k, A_PTR + row
    ld    kend, A_PTR + row + 1
    bge   k, kend, take_row
    add   stamp, row, 1
    add   count, private, 0
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
    ld    seen, private + col + MARKER
    beq   seen, stamp, accumulate
    st    stamp, private + col + MARKER
    st    prod, private + col + SUM
    st    col, count + LIST
    add   count, count, 1
    add   p, p, 1
    blt   p, pend, product
    jmp   element_done
accumulate:
    ld    seen, private + col + SUM
    fadd  seen, seen, prod
    st    seen, private + col + SUM
    add   p, p, 1
    blt   p, pend, product
element_done:
    add   k, k, 1
    blt   k, kend, element
    sub   seen, count, private
    beq   seen, zero, take_row
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
FINISHED = """
finished:
    bne   gtid, zero, stop
    mark  3
stop:
    halt
"""
PHASES = {1: "multiply", 2: "merge", 3: "finishing"}


def accumulators(product: Product, spec: PiumaSpec) -> list[Region]:
    """Markers, sums and column lists: `columns` words each, per thread."""
    words = spec.cores * spec.threads_per_core * product.columns
    return [
        Region("MARKER", words, "metadata"),
        Region("SUM", words, "output"),
        Region("LIST", words, "metadata"),
    ]


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, unsorted within a row."""
    threads = spec.threads_per_core
    return Kernel(
        text=START + TEXT + FINISHED,
        constants={"ROWS": product.rows, "COLUMNS": product.columns, "C_CURSOR": 2},
        regions=[
            *operand_a(product, spec),
            *operand_b(product, spec),
            *accumulators(product, spec),
            *result(product),
        ],
        core_barrier=threads,
        global_barrier=spec.cores * threads,
        phases=PHASES,
    )
