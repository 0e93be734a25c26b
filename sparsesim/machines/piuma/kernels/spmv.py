"""SpMV: C = A b with a dense vector b, rows of A as tokens."""

from __future__ import annotations

from sparsesim.machines.piuma.kernels.product import Product, operand_a
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
    ld    k, A_PTR + row
    ld    kend, A_PTR + row + 1
    add   sum, zero, 0
    bge   k, kend, store
element:
    ld    j, A_IDX + k
    ld    aval, A_VAL + k
    ld    bval, B_VAL + j
    fma   sum, aval, bval, sum
    add   k, k, 1
    blt   k, kend, element
store:
    st    sum, C_VAL + row
    jmp   take_row
"""


def build(product: Product, spec: PiumaSpec) -> Kernel:
    """The kernel for `product` (one column); C is in C_VAL."""
    threads = spec.threads_per_core
    return Kernel(
        text=TEXT + FINISHED,
        constants={"ROWS": product.rows},
        regions=[
            *operand_a(product, spec),
            region("B_VAL", product.dense_b.reshape(-1), "b", spec.cache_inputs),
            Region("C_VAL", product.rows, "output"),
        ],
        core_barrier=threads,
        global_barrier=spec.cores * threads,
        phases=PHASES,
    )
