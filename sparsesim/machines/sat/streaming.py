"""Element streams through a unit: chunks of half its buffer against the DRAM, both fidelities."""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.spec import SatSpec
from sparsesim.memory import double_buffer
from sparsesim.memory.channels import striped_bytes
from sparsesim.memory.double_buffer import TOTAL, WAIT_MEMORY, WAIT_OUTPUT

Numbers = npt.NDArray[np.int64]


def chunk_count(moved_bytes: int, buffer_bytes: int) -> int:
    """Chunks in which `moved_bytes` pass a double buffer of `buffer_bytes` (both halves)."""
    return max(1, ceil(moved_bytes / (buffer_bytes // 2)))


def evenly(total: int, parts: int) -> Numbers:
    """`total` split into `parts` nearly equal whole numbers."""
    part = np.arange(parts + 1, dtype=np.int64)
    edges = part * (total // parts) + part * (total % parts) // parts  # no product overflows
    return np.diff(edges)


def transfers(
    load_bytes: Numbers,
    compute_clocks: Numbers,
    store_bytes: Numbers,
    spec: SatSpec,
    fidelity: str,
) -> tuple[int, int, int, int]:
    """Steps through a double buffer.

    Args:
        load_bytes, compute_clocks, store_bytes: (S,) each.

    Returns:
        Total clocks, clocks waited for the output buffer, clocks waited for memory, and clocks in
        which the DRAM transfers.
    """
    load, store = (
        striped_bytes(sizes, spec.dram_channels, spec.dram_interleave_bytes)
        for sizes in (load_bytes, store_bytes)
    )
    model = double_buffer.stepped if fidelity == "stepped" else double_buffer.fast
    outcome = model(load, compute_clocks, store, spec.dram_bytes_per_clock, spec.dram_latency)
    dram = int(np.ceil((load + store) / spec.dram_bytes_per_clock).sum())
    return int(outcome[TOTAL]), int(outcome[WAIT_OUTPUT]), int(outcome[WAIT_MEMORY]), dram
