"""The parameter record of the SAT machine; `hw/` generates its RTL from the same record."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from sparsesim.validation import Record

#: Bytes per clock. Slower streams would take more clocks than 64 bits count.
_SLOWEST_DRAM = 1e-6


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


class UspeSpec(Record):
    """What one unified sparse PE is made of (docs/sat.md section 1)."""

    rows: int = Field(ge=1, le=1024, description="array rows (sizes the load row field)")
    m_max: int = Field(ge=1, le=64, description="activations in a block; a power of two")
    n_max: int = Field(ge=1, le=64, description="weight registers")
    interleave: int = Field(ge=1, le=16, description="accumulators per PE")
    mul_latency: int = Field(ge=1, le=2, description="clocks from operands to product")
    add_latency: int = Field(ge=1, le=4, description="clocks from addend to sum")


class VectorFunction(Record):
    """What an element-wise function costs on the vector unit."""

    sweeps: int = Field(ge=1, le=8, description="times the first input is read")
    operations: int = Field(ge=1, le=64, description="lane clocks per element, all sweeps")


class UpdateFunction(Record):
    """What an optimizer step costs on the update engine."""

    clocks: int = Field(ge=1, le=64, description="lane clocks per element")
    operations: int = Field(ge=1, le=64, description="FP32 multiply-adds per element, for energy")


class SatSpec(Record):
    """All parameters of a SAT machine. Units: clocks, bytes, Hz, bytes per second."""

    rows: int = Field(ge=1, le=1024, description="PE rows of the array")
    cols: int = Field(ge=1, le=1024, description="PE columns of the array")
    clock_hz: float = Field(gt=0, le=1e12, description="array clock, Hz")
    m_max: int = Field(ge=1, le=64, description="largest M of N:M; a power of two")
    n_max: int = Field(ge=1, le=64, description="weight registers in a PE (WS needs N <= n_max)")
    mul_latency: int = Field(ge=1, le=2, description="multiplier latency, clocks")
    add_latency: int = Field(ge=1, le=4, description="FP32 adder latency, clocks")
    interleave: int = Field(ge=1, le=16, description="outputs a PE rotates over (1 = off)")
    dataflow: Literal["auto", "ws", "os"] = Field(
        description="auto = the smaller predicted cycles per operator"
    )
    schedule_slack: float = Field(
        ge=0, le=1, description="predicted time given up to move fewer DRAM bytes, share"
    )
    act_banks: int = Field(ge=1, le=4096, description="activation buffer banks")
    act_bank_bytes: int = Field(ge=2, le=256, description="bytes per activation bank and clock")
    act_buffer_bytes: int = Field(ge=1024, description="activation buffer, both halves")
    weight_buffer_bytes: int = Field(ge=1024, description="weight buffer, both halves")
    out_buffer_bytes: int = Field(ge=1024, description="output (FP32) buffer, both halves")
    dram_bandwidth: float = Field(gt=0, description="DRAM pin bandwidth of all channels, bytes/s")
    dram_channels: int = Field(ge=1, le=64, description="DRAM channels, evenly striped")
    dram_interleave_bytes: int = Field(
        ge=1, le=2**30, description="bytes on a channel before the next one"
    )
    dram_efficiency: float = Field(gt=0, le=1, description="share of pin bandwidth streams get")
    dram_latency: int = Field(ge=0, le=100_000, description="clocks from request to first data")
    vector_lanes: int = Field(ge=1, le=65536, description="elements per clock of the vector unit")
    vector_buffer_bytes: int = Field(ge=64, description="vector unit buffer, both halves")
    vector_functions: dict[str, VectorFunction] = Field(
        description="cost by function; `default` serves any other"
    )

    fusion: Literal["none", "elementwise", "drain"] = Field(
        description="element-wise work that runs as one stream, or as results leave the array"
    )
    sorter_lanes: int = Field(ge=1, le=4096, description="N:M sorter lanes, one value a clock each")
    sorter_entries: int = Field(ge=1, le=64, description="values that a sorter lane keeps (N)")
    sorter_buffer_bytes: int = Field(ge=64, description="sorter buffer, both halves")
    weight_reduction: Literal["pregenerated", "online"] = Field(
        description="N:M weights: selected after the update, or before each GEMM that reads them"
    )
    update_lanes: int = Field(ge=1, le=4096, description="lanes of the weight update engine")
    update_buffer_bytes: int = Field(ge=64, description="update engine buffer, both halves")
    update_functions: dict[str, UpdateFunction] = Field(
        description="optimizer steps that the update engine runs"
    )

    node_nm: Literal[45, 16, 7] = Field(description="technology node of the energy table, nm")

    @model_validator(mode="after")
    def _buildable(self) -> SatSpec:
        for name in ("m_max", "act_banks", "act_bank_bytes"):
            value = getattr(self, name)
            if not _is_power_of_two(value):
                raise ValueError(f"{name} must be a power of two (got {value})")
        if "default" not in self.vector_functions:
            raise ValueError("vector_functions needs an entry 'default'")
        if self.n_max > self.m_max:
            raise ValueError(f"n_max {self.n_max} must not exceed m_max {self.m_max}")
        if self.dram_bytes_per_clock < _SLOWEST_DRAM:
            raise ValueError(
                f"dram_bandwidth x dram_efficiency / clock_hz must be at least {_SLOWEST_DRAM:g} "
                f"bytes per clock (got {self.dram_bytes_per_clock:g})"
            )
        return self

    def vector_cost(self, function: str) -> VectorFunction:
        """What `function` costs on the vector unit."""
        return self.vector_functions.get(function, self.vector_functions["default"])

    @property
    def round_clocks(self) -> int:
        """Clocks of one round of interleaved issues: max(interleave, add_latency)."""
        return max(self.interleave, self.add_latency)

    @property
    def pes(self) -> int:
        return self.rows * self.cols

    @property
    def dram_bytes_per_clock(self) -> float:
        """Bytes a DRAM stream moves in one array clock."""
        return self.dram_bandwidth * self.dram_efficiency / self.clock_hz

    @property
    def uspe(self) -> UspeSpec:
        """The part of the record that one PE is built from."""
        return UspeSpec(
            rows=self.rows,
            m_max=self.m_max,
            n_max=self.n_max,
            interleave=self.interleave,
            mul_latency=self.mul_latency,
            add_latency=self.add_latency,
        )

    @property
    def index_bits(self) -> int:
        """Bits of a position index inside a block of `m_max`."""
        return int(math.log2(self.m_max))

    def pe_register_bits(self) -> dict[str, int]:
        """Data registers that one PE uses, by mode; the largest is what the PE must have.

        Weight-stationary: a FP16 weight and its position for each of N slots, and partial sums in
        flight for a round; output-stationary: the accumulators. The block that passes through
        is M activations of 16 bits in either.
        """
        block, sums = 16 * self.m_max, 32 * self.interleave
        return {
            "ws_dense": 16 + 16 + sums,
            "ws_nm": self.n_max * (16 + self.index_bits) + block + sums,
            "os_dense": 16 + sums,
            "os_nm": block + sums,
        }
