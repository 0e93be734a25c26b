"""Where each number stands in the flat arrays that the cores work on.

The cores are single compiled loops over flat int64 arrays; these are the indices into them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

# Parameters `p`.
(
    P_CORES,
    P_PIPELINES,
    P_THREADS,
    P_THREAD_SHIFT,
    P_SINGLE,
    P_PIPES,
    P_ISSUE,
    P_SINGLE_ISSUE,
    P_TOTAL,
    P_SPAD,
    P_SPAD_SHIFT,
    P_CACHED,
    P_ILV_SHIFT,
    P_SPAD_BANK_MASK,
    P_SPAD_REQUEST,
    P_SPAD_RESPONSE,
    P_ATOMIC,
    P_LINE_SHIFT,
    P_SETS,
    P_WAYS,
    P_HIT,
    P_CHANNELS,
    P_CHANNEL_SHIFT,
    P_ROW_SHIFT,
    P_BANKS,
    P_BURST,
    P_TRCD,
    P_TCL,
    P_TRP,
    P_TRAS,
    P_TREFI,
    P_TRFC,
    P_DRAM_REQUEST,
    P_DRAM_RESPONSE,
    P_BUS_BASE,
    P_DRAM_COUNT_BASE,
    P_DMA_QUEUE,
    P_DMA_START,
    P_DMA_BEAT_WORDS,
    P_DMA_BEAT_CYCLES,
    P_DMA_OUTSTANDING,
    P_QUEUE_CYCLES,
    P_QUEUE_LATENCY,
    P_BARRIER,
    P_GLOBAL_BARRIER,
    P_CORE_BARRIER_COUNT,
    P_GLOBAL_BARRIER_COUNT,
    P_PORT,
    P_MAX_CYCLES,
    P_REGION_SHIFT,
) = range(50)
PARAMETERS = 50

#: Slots of the fast core's time wheel (a power of two); later wake-ups are put in again.
WHEEL = 1024

GROUP = 64  # thread slots per group; groups: multi-threaded part of each core, then the others

# Per thread.
(
    T_PC,
    T_LEFT,  # an eighth of the private instructions still to be issued before the one at T_PC
    T_KIND,
    T_DUE,
    T_CAUSE,  # what the thread is waiting for, a stall cause
    T_DMA_PENDING,
    T_DMA_LAST,
    T_DMA_WAITING,
    T_BARRIER_SINCE,
    T_BARRIER_CYCLES,
    T_ISSUED,
    T_END,
    T_ADDRESS,  # of the memory instruction at T_PC
    T_PATH,  # where it leads, see PATH_
    T_CORE,
    T_FAILED,  # compare-exchanges in a row that met neither what they expected nor what they bring
) = range(16)
THREAD = 16
# What T_DUE is the clock of: ready (beyond the wheel), at the goal's port, try again; 0 and
# K_BLOCKED are of the stepped core: ready, woken by somebody else.
K_FAR, K_ARRIVAL, K_RETRY, K_BLOCKED = 1, 2, 3, 4

# Paths of the fast core: through the data cache, to the core's own scratchpad, all others.
PATH_OTHER, PATH_CACHE, PATH_SCRATCHPAD = range(3)

# Per group of threads, in the fast core: masks of threads (bits) and of pipelines (lanes of bits).
(
    M_READY,
    M_TURN,  # bits from a lane's next turn upwards
    M_PRIVATE,  # private instructions are left to be issued: M_LEFT + 8 x T_LEFT of them
    M_LEFT,  # three words, one per binary digit
    M_MANY,  # T_LEFT is not zero
    M_CAUSE,  # the last one issued was shared: T_CAUSE is valid; if not, it is a dependency
    M_LANES,  # lowest bits of the lanes that issued when the group last did
    M_LAST,  # the clock of that
) = (0, 1, 2, 3, 6, 7, 8, 9)
MASKS = 16

# Per pipeline.
L_NEXT, L_LAST, L_STALLS, L_BUSY = 0, 1, 2, 10
PIPE = 16

# Per core engines: network ports, queue engine, DMA.
(
    E_INJECT,
    E_EJECT,
    E_QUEUE,
    E_DMA_HEAD,
    E_DMA_COUNT,
    E_DMA_DUE,
    E_DMA_BEATS,
    E_DMA_BUSY,
    E_DMA_WAIT_MULTI,
    E_DMA_WAIT_SINGLE,
) = range(10)
E_RING = 16  # when the last beats were done
E_DESCRIPTORS = E_RING + 64
DESCRIPTOR = 8
D_FROM, D_TO, D_COUNT, D_MODE, D_ARG, D_OWNER, D_DONE, D_PROGRESS = range(8)


def engine_stride(dma_queue: int) -> int:
    """Words of engine state per core."""
    return E_DESCRIPTORS + DESCRIPTOR * dma_queue


# Per queue: next number, end.
QUEUES_PER_CORE = 4

# Counters.
(
    N_ISSUED,
    N_CHIP_BUSY,
    N_HITS,
    N_MISSES,
    N_MERGED,
    N_MESSAGES,
    N_PORT_WAIT,
    N_BANK_WAIT,
    N_QUEUE_WAIT,
    N_SPAD_WORDS,
    N_DMA_WORDS,
    N_DMA_BEATS,
    N_BARRIERS,
    N_MULTIPLIES,
    N_FLOAT_ADDS,
    N_REMOTE_ATOMICS,
    N_FAULT_THREAD,
    N_FAULT_PC,
    N_FAULT_NUMBER,
    N_CYCLES,
    N_BRANCHES,
) = range(21)
N_CHIP_STALLS = 24
N_OPS = 32  # by opcode
N_REGION = 80  # words read, written by region
MAX_REGIONS = 32
COUNTERS = N_REGION + 2 * MAX_REGIONS

# Per core DRAM counters.
DC_HIT, DC_MISS, DC_WAIT, DC_WORDS = range(4)
DRAM_COUNTS = 4
DRAM_BANK = 3  # free from, open row, activated

# Stall causes, in the order of `sparsesim.results.record.STALL_CAUSES`.
S_DEPENDENCY, S_INPUT, S_OUTPUT, S_BANK, S_MEMORY, S_IMBALANCE, S_FILL, S_IDLE = range(8)

# Samples over time: at each boundary the counters so far.
SAMPLES = 512
SAMPLE = 5
A_CYCLE, A_ISSUED, A_DRAM_WORDS, A_SPAD_WORDS, A_MISSES = range(5)

# Marks: how many, then (number, cycle) pairs.
MAX_MARKS = 1 << 16
