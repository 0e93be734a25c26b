"""Inner-product baseline: every element of C intersects a row of A with a column of B.

Rows of A are tokens; B is in compressed sparse columns (made before the run). A thread goes through
all columns of B for its row and merges the two sorted lists. Elements found are listed in DRAM and
copied to C when the row is done.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product, operand_a, result
from sparsesim.machines.piuma.kernels.rowwise import FINISHED, PHASES, START
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.memory_image import Region, region
from sparsesim.machines.piuma.spec import PiumaSpec

TEXT = """
take_row:
    pop   row, zero
    blt   row, zero, finished
    ld    kfirst, A_PTR + row
    ld    kend, A_PTR + row + 1
    bge   kfirst, kend, take_row
    add   count, private, 0
    add   col, zero, 0
    ld    p, BT_PTR
column:
    ld    pend, BT_PTR + col + 1
    add   k, kfirst, 0
    add   sum, zero, 0
    add   found, zero, 0
    bge   p, pend, column_done
    ld    ka, A_IDX + k
    ld    kb, BT_IDX + p
compare:
    beq   ka, kb, match
    blt   ka, kb, next_a
next_b:
    add   p, p, 1
    bge   p, pend, column_done
    ld    kb, BT_IDX + p
    jmp   compare
next_a:
    add   k, k, 1
    bge   k, kend, column_done
    ld    ka, A_IDX + k
    jmp   compare
match:
    ld    aval, A_VAL + k
    ld    bval, BT_VAL + p
    fma   sum, aval, bval, sum
    add   found, zero, 1
    add   k, k, 1
    add   p, p, 1
    bge   k, kend, column_done
    bge   p, pend, column_done
    ld    ka, A_IDX + k
    ld    kb, BT_IDX + p
    jmp   compare
column_done:
    add   p, pend, 0
    beq   found, zero, next_column
    st    col, count + LIST
    st    sum, count + SUM
    add   count, count, 1
next_column:
    add   col, col, 1
    blt   col, COLUMNS, column
    sub   found, count, private
    beq   found, zero, take_row
    aadd  to, SPAD + C_CURSOR, found
    mul   rowkey, row, COLUMNS
    add   k, private, 0
copy:
    ld    ka, k + LIST
    ld    sum, k + SUM
    add   ka, ka, rowkey
    st    ka, C_KEY + to
    st    sum, C_VAL + to
    add   to, to, 1
    add   k, k, 1
    blt   k, count, copy
    jmp   take_row
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product`; C is in C_KEY and C_VAL, sorted within a row."""
    threads = spec.threads_per_core
    columns = product.sparse_b.transpose()
    words = spec.cores * threads * product.columns
    cached = spec.cache_inputs
    return Kernel(
        text=START + TEXT + FINISHED,
        constants={"ROWS": product.rows, "COLUMNS": product.columns, "C_CURSOR": 2},
        regions=[
            *operand_a(product, spec),
            region("BT_PTR", columns.indptr, "metadata", cached),
            region("BT_IDX", columns.indices, "metadata", cached),
            region("BT_VAL", columns.values, "b", cached),
            Region("SUM", words, "output"),
            Region("LIST", words, "metadata"),
            *result(product),
        ],
        core_barrier=threads,
        global_barrier=spec.cores * threads,
        phases=PHASES,
    )
