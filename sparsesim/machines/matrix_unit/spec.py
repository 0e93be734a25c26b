"""The parameter record of a machine made of equal matrix units behind one L2."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sparsesim.validation import Record


class VectorFunction(Record):
    """What an element-wise function costs."""

    operations: int = Field(ge=0, le=256, description="lane clocks per element")
    fused: bool = Field(default=False, description="done in a product's epilogue, at no clocks")


class Tile(Record):
    """A block of the result that a unit computes at a time, and how deep a slice it stages."""

    m: int = Field(ge=1, le=4096)
    n: int = Field(ge=1, le=4096)
    k: int = Field(ge=1, le=4096)


class MatrixUnitSpec(Record):
    """All parameters. Units: clocks, bytes, Hz, bytes per second, watts."""

    kind: Literal["tensor_core", "systolic"] = Field(description="how a unit multiplies a slice")
    units: int = Field(ge=1, le=1024, description="SMs, or arrays")
    clock_hz: float = Field(ge=1e6, le=1e11, description="clock, Hz")
    macs_per_clock: int = Field(ge=1, description="dense multiply-accumulates of a unit per clock")
    array_rows: int = Field(ge=1, le=1024, description="rows of a systolic array (reduction)")
    array_cols: int = Field(ge=1, le=1024, description="columns of a systolic array (filters)")
    sparse_2_4: bool = Field(description="2:4 weights run in half the clocks")
    element_bytes: Literal[1, 2] = Field(description="operands: 1 INT8, 2 FP16 or BF16")
    tiles: tuple[Tile, ...] = Field(min_length=1, description="tiles the schedule chooses from")
    shared_bytes_per_clock: int = Field(ge=1, description="operand bytes a unit reads per clock")
    operand_reuse: int = Field(ge=1, le=256, description="uses of a staged operand per read")
    l2_bytes: int = Field(ge=1024, description="L2, all of it")
    l2_bytes_per_clock: float = Field(ge=1e-3, le=1e9, description="L2 bytes per clock, all units")
    dram_bandwidth: float = Field(ge=1e6, le=1e15, description="DRAM, bytes/s")
    dram_efficiency: float = Field(ge=0.01, le=1, description="share of it that streams get")
    dram_latency: int = Field(ge=0, le=100_000, description="clocks from request to data")
    vector_lanes: int = Field(ge=1, description="element-wise lanes of the machine")
    vector_functions: dict[str, VectorFunction] = Field(
        description="cost by function; `default` serves any other"
    )
    operator_clocks: int = Field(ge=0, le=1_000_000, description="clocks to start an operator")
    host_bandwidth: float = Field(ge=1e6, le=1e15, description="host link, bytes/s")
    host_efficiency: float = Field(ge=0.01, le=1, description="share of it that transfers get")
    host_latency: int = Field(ge=0, le=10_000_000, description="clocks of a host transfer's start")
    host_chunks: int = Field(
        ge=1, le=256, description="parts in which transfers hand over to the first operators"
    )
    board_watts: float = Field(gt=0, description="board power, W")
    node_nm: Literal[45, 16, 7] = Field(description="technology node of the energy table, nm")

    @model_validator(mode="after")
    def _consistent(self) -> MatrixUnitSpec:
        if "default" not in self.vector_functions:
            raise ValueError("vector_functions needs an entry 'default'")
        if self.kind == "systolic" and self.macs_per_clock != self.array_rows * self.array_cols:
            raise ValueError("macs_per_clock of a systolic array must be array_rows x array_cols")
        if self.kind == "systolic" and self.sparse_2_4:
            raise ValueError("sparse_2_4 needs kind tensor_core")
        return self

    @property
    def dram_bytes_per_clock(self) -> float:
        """Bytes DRAM streams move in one clock."""
        return self.dram_bandwidth * self.dram_efficiency / self.clock_hz

    @property
    def host_bytes_per_clock(self) -> float:
        """Bytes the host link moves in one clock."""
        return self.host_bandwidth * self.host_efficiency / self.clock_hz
