"""The parameter record of an S4-class machine; the RTL of an SPU is generated from the same."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from sparsesim.validation import Record

Unit = Literal["vpu", "sfu"]


class VectorFunction(Record):
    """What an element-wise function costs, and where it runs."""

    unit: Unit = Field(description="vpu, or sfu for transcendental functions")
    operations: int = Field(ge=0, le=256, description="operations per element")
    element_bytes: int = Field(ge=1, le=4, description="bytes of an operand: 1 INT8, 2 BF16")
    fused: bool = Field(
        default=False, description="done where a GEMM's results drain, at no clocks of its own"
    )


class S4Spec(Record):
    """All parameters of a board. Units: clocks of the SPU, bytes, Hz, bytes per second, watts."""

    dies: int = Field(ge=1, le=64, description="dies of the board; the batch is split over them")
    cores: int = Field(ge=1, le=64, description="cores of a die, on a ring")
    spus: int = Field(ge=1, le=64, description="SPUs of a core")
    rows: int = Field(ge=1, le=64, description="activation rows of an SPU, Mt")
    cols: int = Field(ge=1, le=128, description="filters of an SPU, Nt")
    group: int = Field(ge=2, le=256, description="channels of a balanced group, G")
    kept_allowed: tuple[int, ...] = Field(description="pairs per group the weight format has")
    weight_format: Literal["pairs", "bitmap"] = Field(
        description="pairs: equally many per group of a layer; bitmap: also a bit per sub-filter"
    )
    precision: Literal["int8", "bf16"] = Field(description="operands of the products")
    clock_hz: float = Field(ge=1e6, le=1e11, description="SPU clock, Hz")
    bf16_step_clocks: int = Field(ge=1, le=8, description="clocks per BF16 step (FP32 adder)")
    act_port_bytes: int = Field(ge=1, description="activation bytes into an SPU per clock")
    act_fifo_groups: int = Field(ge=2, le=64, description="whole groups in the activation FIFO")
    weight_port_bytes: int = Field(ge=1, description="weight bytes into an SPU per clock")
    weight_fifo_steps: int = Field(ge=2, le=64, description="steps in the weight FIFO")
    drain_results: int = Field(ge=1, le=128, description="results drained per clock, of one row")
    quant_latency: int = Field(ge=1, le=64, description="clocks of requantisation")
    l1_bytes: int = Field(ge=256, description="L1 of an SPU, both halves")
    l2_bytes: int = Field(ge=4096, description="L2 of a core")
    l2_bytes_per_clock: float = Field(
        ge=1e-3, le=1e9, description="L2 bytes of a core per SPU clock"
    )
    mapping: Literal["auto", "broadcast", "rotate"] = Field(
        description="weights copied to every core, or shared out and rotated on the ring"
    )
    resident_weights: bool = Field(description="keep all weights in L2 where they fit")
    noc_clock_hz: float = Field(ge=1e6, le=1e11, description="ring clock, Hz")
    noc_bytes_per_clock: float = Field(
        ge=1e-3, le=1e9, description="ring link of a core, bytes per clock"
    )
    dram_bandwidth: float = Field(ge=1e6, le=1e15, description="DRAM of a die, bytes/s")
    dram_efficiency: float = Field(ge=0.01, le=1, description="share of it that streams get")
    dram_latency: int = Field(ge=0, le=100_000, description="clocks from request to data")
    host_bandwidth: float = Field(ge=1e6, le=1e15, description="host link of the board, bytes/s")
    host_efficiency: float = Field(ge=0.01, le=1, description="share of it that transfers get")
    host_latency: int = Field(ge=0, le=10_000_000, description="clocks of a host transfer's start")
    operator_clocks: int = Field(ge=0, le=1_000_000, description="clocks to start an operator")
    stream_chunks: int = Field(
        ge=1, le=256, description="parts in which an operator hands its results to the next"
    )
    vpu_operations: int = Field(ge=1, description="INT8 operations of a core's VPU per clock")
    sfu_operations: int = Field(ge=1, description="operations of a core's SFU per clock")
    vector_functions: dict[str, VectorFunction] = Field(
        description="cost by function; `default` serves any other"
    )
    activation_density: float | Literal["trace"] = Field(
        description="non-zero share of activations that skipping hardware finds (1 = no such "
        "hardware), or `trace`: where the trace has measured zeros",
    )
    board_watts: float = Field(gt=0, description="board power, W")
    node_nm: Literal[45, 16, 7] = Field(description="technology node of the energy table, nm")

    @field_validator("activation_density", mode="plain")
    @classmethod
    def _share_or_trace(cls, value: object) -> object:
        if value == "trace":
            return value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return value
        raise ValueError("must be over 0 and at most 1, or trace")

    @model_validator(mode="after")
    def _buildable(self) -> S4Spec:
        if self.group & (self.group - 1):
            raise ValueError(f"group must be a power of two (got {self.group})")
        if self.drain_results > self.cols:
            raise ValueError(f"drain_results {self.drain_results} exceeds cols {self.cols}")
        if not self.kept_allowed or any(not 1 <= k <= self.group for k in self.kept_allowed):
            raise ValueError(f"kept_allowed must be numbers from 1 to group = {self.group}")
        if self.group not in self.kept_allowed:
            raise ValueError(f"kept_allowed must hold group = {self.group}: dense layers")
        if "default" not in self.vector_functions:
            raise ValueError("vector_functions needs an entry 'default'")
        return self

    @property
    def index_bits(self) -> int:
        """Bits of a channel's position in its group."""
        return int(math.log2(self.group))

    @property
    def element_bytes(self) -> int:
        """Bytes of a weight or activation."""
        return 2 if self.precision == "bf16" else 1

    @property
    def step_clocks(self) -> int:
        """Clocks of a step at the machine's precision."""
        return self.bf16_step_clocks if self.precision == "bf16" else 1

    @property
    def lanes(self) -> int:
        """Multiply lanes of the board."""
        return self.dies * self.cores * self.spus * self.rows * self.cols

    @property
    def dram_bytes_per_clock(self) -> float:
        """Bytes a die's DRAM streams move in one SPU clock."""
        return self.dram_bandwidth * self.dram_efficiency / self.clock_hz

    @property
    def ring_bytes_per_clock(self) -> float:
        """Bytes a core's ring link moves in one SPU clock."""
        return self.noc_bytes_per_clock * self.noc_clock_hz / self.clock_hz

    @property
    def host_bytes_per_clock(self) -> float:
        """Bytes the host link moves in one SPU clock."""
        return self.host_bandwidth * self.host_efficiency / self.clock_hz
