"""The parameter record of the PIUMA machine (docs/piuma.md)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sparsesim.validation import Record

WORD_BYTES = 8
#: Threads of the multi-threaded pipelines of a core share one 64-bit mask in the cores.
MAX_THREADS = 64

KERNELS = (
    "inner",
    "outer",
    "rowwise",
    "smash_v1",
    "smash_v2",
    "smash_v3",
    "smash_v4",
    "spmm",
    "spmv",
)
Kernel = Literal[
    "inner",
    "outer",
    "rowwise",
    "smash_v1",
    "smash_v2",
    "smash_v3",
    "smash_v4",
    "spmm",
    "spmv",
]


class PiumaSpec(Record):
    """All parameters of a PIUMA machine. Units: clocks, bytes, Hz; powers of two where stated."""

    kernel: Kernel = Field(description="instruction stream that computes the product")
    window_slots: int = Field(
        ge=0, le=2**24, description="hash slots of a window (power of two); 0 = what fits"
    )
    chunk: int = Field(ge=1, le=4096, description="elements of A in one token of smash_v4")
    sample_rows: int = Field(
        ge=0, le=2**31, description="rows of A that are simulated, drawn at random; 0 = all"
    )

    cores: int = Field(ge=1, le=64, description="cores, each with scratchpad and DRAM")
    pipelines: int = Field(ge=1, le=16, description="multi-threaded pipelines per core")
    threads: int = Field(ge=1, le=64, description="threads per pipeline; a power of two")
    single_pipelines: int = Field(ge=1, le=8, description="single-threaded pipelines per core")
    clock_hz: float = Field(gt=0, description="core clock, Hz")
    issue_cycles: int = Field(
        ge=1, le=32, description="clocks between two instructions of a thread, multi-threaded"
    )
    single_issue_cycles: int = Field(
        ge=1, le=32, description="clocks between two instructions, single-threaded pipeline"
    )

    cache_bytes: int = Field(ge=64, le=2**24, description="data cache per pipeline; a power of two")
    cache_line_bytes: Literal[8, 16, 32, 64, 128] = Field(description="cache line")
    cache_ways: int = Field(ge=1, le=16, description="ways of a set; a power of two")
    cache_cycles: int = Field(ge=1, le=64, description="load to use on a hit")
    cache_inputs: bool = Field(description="whether loads of A and B go through the cache")

    spad_bytes: int = Field(ge=4096, le=2**30, description="scratchpad per core; a power of two")
    spad_banks: int = Field(ge=1, le=1024, description="scratchpad banks; a power of two")
    spad_cycles: int = Field(ge=3, le=256, description="load to use, bank free")
    atomic_cycles: int = Field(
        ge=1, le=64, description="clocks an atomic keeps its bank (and its address)"
    )

    dram_channels: int = Field(ge=1, le=64, description="channels per core; a power of two")
    dram_banks: int = Field(ge=1, le=64, description="banks per channel; a power of two")
    dram_row_bytes: int = Field(ge=64, le=2**20, description="row of a bank; a power of two")
    dram_burst: int = Field(ge=1, le=64, description="clocks of data bus per 8 bytes")
    dram_trcd: int = Field(ge=1, le=200, description="activate to column command")
    dram_tcl: int = Field(ge=1, le=200, description="column command to data")
    dram_trp: int = Field(ge=1, le=200, description="precharge to activate")
    dram_tras: int = Field(ge=1, le=400, description="activate to precharge")
    dram_trefi: int = Field(ge=0, le=2**32, description="clocks between refreshes; 0 = none")
    dram_trfc: int = Field(ge=0, le=2000, description="clocks of a refresh")
    dram_path_cycles: int = Field(
        ge=2, le=1000, description="pipeline to DRAM command and data to pipeline, together"
    )
    interleave_bytes: int = Field(
        ge=128, le=2**20, description="consecutive addresses in one core's DRAM; power of two"
    )

    dma_queue: int = Field(ge=1, le=256, description="descriptors waiting per DMA engine")
    dma_start_cycles: int = Field(ge=1, le=256, description="clocks from descriptor to first beat")
    dma_beat_bytes: Literal[8, 16, 32, 64] = Field(description="bytes the engine moves at once")
    dma_beat_cycles: int = Field(ge=1, le=64, description="clocks between two beats")
    dma_outstanding: int = Field(ge=1, le=64, description="beats in flight per engine")

    queue_cycles: int = Field(ge=1, le=64, description="clocks per queue operation")
    queue_latency: int = Field(ge=1, le=256, description="pop to number, queue idle")
    barrier_cycles: int = Field(ge=1, le=256, description="last arrival to release in a core")

    topology: Literal["mesh", "torus", "hyperx"] = Field(description="network between cores")
    hop_cycles: int = Field(ge=1, le=64, description="clocks per network hop")
    network_cycles: int = Field(ge=1, le=256, description="into and out of the network, one way")
    link_cycles: int = Field(ge=1, le=64, description="clocks a message keeps a link")

    node_nm: Literal[45, 16, 7] = Field(description="technology node of the energy table, nm")

    @model_validator(mode="after")
    def _buildable(self) -> PiumaSpec:
        for name in (
            "threads",
            "cache_bytes",
            "cache_ways",
            "spad_bytes",
            "spad_banks",
            "dram_channels",
            "dram_banks",
            "dram_row_bytes",
            "interleave_bytes",
        ):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} must be a power of two (got {value})")
        if self.window_slots & (self.window_slots - 1):
            raise ValueError(f"window_slots must be 0 or a power of two (got {self.window_slots})")
        if self.pipelines * self.threads > MAX_THREADS:
            raise ValueError(
                f"pipelines x threads must not exceed {MAX_THREADS} "
                f"(got {self.pipelines} x {self.threads})"
            )
        if self.cache_bytes < self.cache_line_bytes * self.cache_ways:
            raise ValueError("cache_bytes must hold at least one set of cache_ways lines")
        if self.spad_bytes // WORD_BYTES < self.spad_banks:
            raise ValueError("spad_bytes must hold at least one word per bank")
        if self.dram_trefi and self.dram_trefi <= self.dram_trfc:
            raise ValueError(
                f"dram_trefi {self.dram_trefi} must exceed dram_trfc {self.dram_trfc} (or be 0)"
            )
        return self

    @property
    def threads_per_core(self) -> int:
        """Threads of the multi-threaded pipelines of one core."""
        return self.pipelines * self.threads

    @property
    def spad_words(self) -> int:
        return self.spad_bytes // WORD_BYTES

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Peak DRAM bytes per clock of all cores."""
        return self.cores * self.dram_channels * WORD_BYTES / self.dram_burst
