"""GEMM: C = A B with dense A and B, rows of A as tokens, four columns of B at a time in registers.

The dense products between the sparse ones of a graph network. B lies row after row (k x n), as the
dense B of `spmm`.
"""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.kernels.rowwise import FINISHED, PHASES
from sparsesim.machines.piuma.launch import Kernel
from sparsesim.machines.piuma.memory_image import Region, region
from sparsesim.machines.piuma.spec import PiumaSpec

TEXT = """
multi:
    bne   gtid, zero, started
    add   last, zero, ROWS
    qset  zero, zero, last
    mark  1
started:
    barrier 1
take_row:
    pop   row, zero
    blt   row, zero, finished
    mul   kfirst, row, INNER
    add   kend, kfirst, INNER
    mul   out, row, COLUMNS
    add   col, zero, 0
columns:
    bge   col, COLUMNS - 3, single_column
    add   c0, zero, 0
    add   c1, zero, 0
    add   c2, zero, 0
    add   c3, zero, 0
    add   k, kfirst, 0
    add   b, col, 0
element:
    ld    aval, A_VAL + k
    ld    bval, B_VAL + b
    fma   c0, aval, bval, c0
    ld    bval, B_VAL + b + 1
    fma   c1, aval, bval, c1
    ld    bval, B_VAL + b + 2
    fma   c2, aval, bval, c2
    ld    bval, B_VAL + b + 3
    fma   c3, aval, bval, c3
    add   b, b, COLUMNS
    add   k, k, 1
    blt   k, kend, element
    add   at, out, col
    st    c0, C_VAL + at
    st    c1, C_VAL + at + 1
    st    c2, C_VAL + at + 2
    st    c3, C_VAL + at + 3
    add   col, col, 4
    jmp   columns
single_column:
    bge   col, COLUMNS, take_row
    add   c0, zero, 0
    add   k, kfirst, 0
    add   b, col, 0
single_element:
    ld    aval, A_VAL + k
    ld    bval, B_VAL + b
    fma   c0, aval, bval, c0
    add   b, b, COLUMNS
    add   k, k, 1
    blt   k, kend, single_element
    add   at, out, col
    st    c0, C_VAL + at
    add   col, col, 1
    jmp   single_column
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product` with dense A; C is in C_VAL, row after row."""
    threads = spec.threads_per_core
    return Kernel(
        text=TEXT + FINISHED,
        constants={
            "ROWS": product.rows,
            "COLUMNS": product.columns,
            "INNER": product.a.columns,
        },
        regions=[
            region("A_VAL", product.a.values, "a", spec.cache_inputs),
            region("B_VAL", product.dense_b.reshape(-1), "b", spec.cache_inputs),
            Region("C_VAL", product.rows * product.columns, "output"),
        ],
        core_barrier=threads,
        global_barrier=spec.cores * threads,
        phases=PHASES,
    )
