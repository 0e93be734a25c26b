"""The parameter record of the SAT machine; `hw/` generates its RTL from the same record."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from sparsesim.validation import Record


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


class SatSpec(Record):
    """All parameters of a SAT machine. Units: clocks, bytes, Hz, bytes per second."""

    rows: int = Field(ge=1, le=1024, description="PE rows of the array")
    cols: int = Field(ge=1, le=1024, description="PE columns of the array")
    clock_hz: float = Field(gt=0, description="array clock, Hz")
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
    dram_bandwidth: float = Field(gt=0, description="DRAM pin bandwidth, bytes/s")
    dram_efficiency: float = Field(gt=0, le=1, description="share of pin bandwidth streams get")
    dram_latency: int = Field(ge=0, le=100_000, description="clocks from request to first data")
    vector_lanes: int = Field(ge=1, le=65536, description="elements per clock of the vector unit")
    vector_buffer_bytes: int = Field(ge=64, description="vector unit buffer, both halves")
    vector_functions: dict[str, VectorFunction] = Field(
        description="cost by function; `default` serves any other"
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
        return self

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
