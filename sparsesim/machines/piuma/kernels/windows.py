"""What the SMASH kernels share: planning windows, and the manager that deals them out.

1. Every thread counts the partial products of some rows (symbolic pass).
2. The single-threaded pipelines pack consecutive rows into windows whose upper bound fits the hash
   table. A row too heavy for the table gets windows of its own, one per range of columns.
3. On each core one single-threaded pipeline takes windows from a counter in the scratchpad of core
   0 and posts them to the core's mailbox and queue; the multi-threaded pipelines work on them.

A window is posted as up to five words (`M_STATE` to `M_HIGH`). Mailbox and queues have two halves,
so that the next window is posted while one is worked on.

In a heavy window the table is used as a dense row: slot = column - first column. Threads share the
row element by element of A, so no row is too big and nothing can overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparsesim.machines.piuma.kernels.product import Int64Array, Product
from sparsesim.machines.piuma.memory_image import Region
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.machines.piuma.state import QUEUES_PER_CORE

#: Scratchpad words of control data: counters (core 0) and two mailboxes.
CONTROL_WORDS = 64
CONTROL = {
    "WINDOWS": 0,  # how many there are (core 0)
    "NEXT_WINDOW": 1,  # counter (core 0)
    "C_CURSOR": 2,  # elements of C so far (core 0)
    "MAIL": 16,  # two mailboxes of 8 words
    "M_STATE": 0,  # 0: rows, 1: heavy row, -1: no window left
    "M_FIRST": 1,  # rows
    "M_LAST": 2,
    "M_LOW": 3,  # columns of a heavy row
    "M_HIGH": 4,
    "QUEUES": QUEUES_PER_CORE,
}

#: Symbolic pass; `{need}` turns the bound on a row's elements into what it needs of a window.
PLAN_MULTI = """
multi:
    add   row, gtid, 0
count_row:
    bge   row, ROWS, counted
    ld    k, A_PTR + row
    ld    last, A_PTR + row + 1
    add   bound, zero, 0
    bge   k, last, count_store
count_element:
    ld    j, A_IDX + k
    ld    low, B_PTR + j
    ld    high, B_PTR + j + 1
    sub   high, high, low
    add   bound, bound, high
{element}
    add   k, k, 1
    blt   k, last, count_element
count_store:
    min   bound, bound, COLUMNS
{need}
    st    bound, NEED + row
    add   row, row, THREADS
    jmp   count_row
counted:
    barrier 1
    barrier 1
    .scope
"""

#: Slots of a private region: the power of two that is at least twice the bound.
NEED_REGION = """
    beq   bound, zero, count_none
    add   bound, bound, bound
    sub   bound, bound, 1
    log2  bound, bound
    add   high, zero, 2
    shl   bound, high, bound
count_none:
"""

#: Single-threaded pipelines: pack windows, then (one per core) deal them out. `{rows}` and
#: `{heavy}` are the manager's share of a window after it has been posted.
MANAGER = """
    .scope
single:
    bne   gtid, zero, plan_begins
    mark  0
plan_begins:
    barrier 1
    mul   row, gtid, BLOCK
    add   end, row, BLOCK
    min   end, end, ROWS
    add   first, row, 0
    add   used, zero, 0
    add   one, zero, 1
pack_row:
    bge   row, end, pack_flush
    ld    need, NEED + row
    bge   need, LIMIT + 1, pack_flush
    add   sum, used, need
    bge   sum, LIMIT + 1, pack_flush
    sub   length, row, first
    bge   length, MAX_WINDOW_ROWS, pack_flush
    st    used, OFFSET + row
    add   used, sum, 0
    add   row, row, 1
    jmp   pack_row
pack_flush:
    beq   used, zero, pack_flushed
    aadd  window, SPAD + WINDOWS, one
    shl   window, window, 3
    st    first, WINDOW + window + M_FIRST
    st    row, WINDOW + window + M_LAST
    st    zero, WINDOW + window + M_STATE
pack_flushed:
    add   first, row, 0
    add   used, zero, 0
    bge   row, end, packed
    blt   need, LIMIT + 1, pack_row
    add   low, zero, 0
pack_heavy:
    aadd  window, SPAD + WINDOWS, one
    shl   window, window, 3
    add   sum, row, 1
    st    row, WINDOW + window + M_FIRST
    st    sum, WINDOW + window + M_LAST
    st    one, WINDOW + window + M_STATE
    st    low, WINDOW + window + M_LOW
    add   low, low, HEAVY_COLUMNS
    min   low, low, COLUMNS
    st    low, WINDOW + window + M_HIGH
    blt   low, COLUMNS, pack_heavy
    add   row, row, 1
    add   first, row, 0
    jmp   pack_row
packed:
    barrier 1
    bne   tid, zero, halted
    mul   queue, core, QUEUES
    add   half, zero, 0
    add   mail, spad, MAIL
    ld    windows, SPAD + WINDOWS
next_window:
    aadd  window, SPAD + NEXT_WINDOW, one
    bge   window, windows, no_window
    shl   window, window, 3
    ld    first, WINDOW + window + M_FIRST
    ld    last, WINDOW + window + M_LAST
    ld    state, WINDOW + window + M_STATE
    st    first, mail + M_FIRST
    st    last, mail + M_LAST
    st    state, mail + M_STATE
    beq   state, zero, post_rows
    ld    low, WINDOW + window + M_LOW
    ld    high, WINDOW + window + M_HIGH
    st    low, mail + M_LOW
    st    high, mail + M_HIGH
    ld    low, A_PTR + first
    ld    high, A_PTR + first + 1
    qset  queue, low, high
    barrier 0
{heavy}
    jmp   window_done
post_rows:
{post}
    barrier 0
    bne   core, zero, window_begun
    mark  1
window_begun:
{rows}
window_done:
    xor   half, half, 8
    add   mail, half, MAIL
    add   mail, mail, spad
    xor   queue, queue, 1
    jmp   next_window
no_window:
    sub   state, zero, 1
    st    state, mail + M_STATE
    barrier 0
halted:
    halt
"""

#: A window in which the manager waits once more: for the end of hashing.
TWO_PHASES = """
    barrier 0
    bne   core, zero, write_begun
    mark  2
write_begun:
"""

#: Loads the posted window; falls through with `first` and `last`, or goes to `heavy` or `finished`.
TAKE_WINDOW = """
    mul   queue, core, QUEUES
    add   mail, spad, MAIL
    add   half, zero, 0
    sub   empty, zero, 1
    jmp   window
advance:
    xor   half, half, 8
    add   mail, half, MAIL
    add   mail, mail, spad
    xor   queue, queue, 1
window:
    barrier 0
    ld    state, mail + M_STATE
    blt   state, zero, finished
    ld    first, mail + M_FIRST
    ld    last, mail + M_LAST
    bne   state, zero, heavy
"""

#: A heavy window: `TAG`, `VAL` as a dense row of the columns from `low` to `high`.
HEAVY_ROW = """
    .scope queue, mail, half, empty, first
heavy:
{prepare}
    ld    low, mail + M_LOW
    ld    high, mail + M_HIGH
    mul   rowkey, first, COLUMNS
heavy_element:
    pop   k, queue
    blt   k, zero, heavy_added
    ld    j, A_IDX + k
    ld    aval, A_VAL + k
    ld    p, B_PTR + j
    ld    pend, B_PTR + j + 1
    bge   p, pend, heavy_element
heavy_product:
    ld    col, B_IDX + p
    blt   col, low, heavy_next
    bge   col, high, heavy_next
    ld    prod, B_VAL + p
    fmul  prod, aval, prod
    sub   slot, col, low
    add   tag, col, rowkey
    st    tag, spad + slot + TAG
    afadd prod, spad + slot + VAL
heavy_next:
    add   p, p, 1
    blt   p, pend, heavy_product
    jmp   heavy_element
heavy_added:
    barrier 0
    sub   high, high, low
    mul   slot, tid, HEAVY_SHARE
    add   k, slot, HEAVY_SHARE
    min   high, high, k
    add   p, slot, 0
    add   count, zero, 0
heavy_count:
    bge   p, high, heavy_counted
    ld    tag, spad + p + TAG
    add   p, p, 1
    beq   tag, empty, heavy_count
    add   count, count, 1
    jmp   heavy_count
heavy_counted:
    beq   count, zero, heavy_written
    aadd  place, SPAD + C_CURSOR, count
heavy_write:
    ld    tag, spad + slot + TAG
    beq   tag, empty, heavy_skip
    ld    prod, spad + slot + VAL
    st    tag, C_KEY + place
    st    prod, C_VAL + place
    st    empty, spad + slot + TAG
    st    zero, spad + slot + VAL
    add   place, place, 1
heavy_skip:
    add   slot, slot, 1
    blt   slot, high, heavy_write
heavy_written:
    jmp   advance
"""

#: Threads empty the table before the first window.
CLEAR_BY_THREADS = """
    sub   empty, zero, 1
    add   slot, tid, 0
clear:
    bge   slot, SLOTS, cleared
    st    empty, spad + slot + TAG
    st    zero, spad + slot + VAL
    add   slot, slot, CORE_THREADS
    jmp   clear
cleared:
    .scope
"""

FINISHED = """
finished:
    bne   gtid, zero, stop
    mark  3
stop:
    halt
"""

#: The DMA engine empties it: the tags, and the values behind them.
CLEAR_BY_DMA = """
    bne   tid, zero, cleared
    sub   empty, zero, 1
    add   count, zero, SLOTS
    add   table, spad, TAG
    dma   fill, empty, table, count
    add   table, spad, VAL
    dma   fill, zero, table, count
    dmawait
cleared:
    .scope
"""

#: Numbers of the marks, and the phase that begins there.
PHASES = {0: "plan", 1: "hash", 2: "write back", 3: "finishing"}


@dataclass(frozen=True)
class Windows:
    """Sizes that planning and kernels agree on.

    Attributes:
        limit: what the rows of a window may need together.
        heavy_columns: columns of one window of a heavy row.
        most: upper bound on the number of windows.
    """

    limit: int
    heavy_columns: int
    most: int
    max_rows: int
    block: int

    def constants(self, product: Product, spec: PiumaSpec) -> dict[str, int]:
        """Link-time constants of `PLAN_MULTI`, `MANAGER`, `TAKE_WINDOW` and `HEAVY_ROW`."""
        threads = spec.threads_per_core
        return {
            **CONTROL,
            "LIMIT": self.limit,
            "HEAVY_COLUMNS": self.heavy_columns,
            "HEAVY_SHARE": -(-self.heavy_columns // threads),
            "MAX_WINDOW_ROWS": self.max_rows,
            "BLOCK": self.block,
            "ROWS": product.rows,
            "COLUMNS": product.columns,
            "THREADS": spec.cores * threads,
            "CORE_THREADS": threads,
        }

    def regions(self, product: Product) -> list[Region]:
        """NEED and OFFSET (both written before they are read, so cached), WINDOW, rows of C."""
        return [
            Region("NEED", product.rows, "metadata", True),
            Region("OFFSET", product.rows, "metadata", True),
            Region("WINDOW", 8 * self.most, "metadata"),
            Region("C_START", product.rows, "metadata"),
            Region("C_LENGTH", product.rows, "metadata"),
        ]


def row_bounds(product: Product) -> Int64Array:
    """(m,) upper bounds on the elements of each row of C."""
    return np.minimum(product.products_of_rows, product.columns)


def region_needs(product: Product) -> Int64Array:
    """(m,) slots of each row's private region, as `NEED_REGION` computes them."""
    bounds = row_bounds(product)
    needs = np.zeros_like(bounds)
    some = bounds > 0
    needs[some] = np.int64(2) << np.int64(np.log2(2 * bounds[some] - 1))
    return needs


def plan_sizes(
    product: Product,
    spec: PiumaSpec,
    needs: Int64Array,
    capacity: int,
    heavy_columns: int,
    max_rows: int | None = None,
) -> Windows:
    """Choose the window limit; with several cores, so that each gets about eight windows.

    Args:
        needs: (m,) what each row needs of a window.
        capacity: what a window can hold.
    """
    limit = capacity
    if spec.cores > 1:
        share = int(needs.sum()) // (8 * spec.cores)
        limit = min(limit, max(share, int(needs.max(initial=1)), 16 * spec.threads_per_core))
    packers = spec.cores * spec.single_pipelines
    max_rows = max_rows or product.rows + 1
    light = needs <= limit
    heavy = int((~light).sum())
    most = (
        packers
        + heavy * (1 - (-product.columns // heavy_columns))
        + 2 * int(needs[light].sum()) // limit
        + product.rows // max_rows
        + 4
    )
    return Windows(limit, heavy_columns, most, max_rows, -(-product.rows // packers))


def table_slots(
    spec: PiumaSpec, words_per_slot: int, needed: int, reserved: int = 0, power: bool = False
) -> int:
    """Slots of the table: what fits the scratchpad, or less if no more are needed or asked for.

    Args:
        needed: slots that hold the whole product.
        power: the number must be a power of two.
    """
    slots = (spec.spad_words - CONTROL_WORDS - reserved) // words_per_slot
    if power:
        slots = 1 << (slots.bit_length() - 1)
        needed = 1 << (needed - 1).bit_length() if needed > 0 else 1
    if spec.window_slots:
        slots = min(slots, spec.window_slots)
    return min(slots, max(needed, 64))
