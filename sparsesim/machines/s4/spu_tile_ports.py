"""The SPU tile (lanes, accumulators, drain): its parameters and ports, clock by clock.

Shared by the stepped model, the reference and the RTL. T is the number of clocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.errors import InputError
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.validation import Record

Bits = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.int8]
Numbers = npt.NDArray[np.int64]


class SpuTileSpec(Record):
    """What one SPU tile is made of (docs/rtl.md)."""

    rows: int = Field(ge=1, le=64, description="activation rows")
    cols: int = Field(ge=1, le=128, description="filters")
    group: int = Field(ge=2, le=256, description="activations of a group; a power of two")
    drain_results: int = Field(ge=1, le=128, description="results per clock, of one row")
    quant_latency: int = Field(ge=1, le=64, description="clocks of requantisation")

    @model_validator(mode="after")
    def _buildable(self) -> SpuTileSpec:
        if self.group & (self.group - 1):
            raise ValueError(f"group must be a power of two (got {self.group})")
        if self.drain_results > self.cols:
            raise ValueError(f"drain_results {self.drain_results} exceeds cols {self.cols}")
        return self

    @property
    def index_bits(self) -> int:
        return (self.group - 1).bit_length()

    @property
    def row_words(self) -> int:
        """Words (clocks of the drain) of one row."""
        return -(-self.cols // self.drain_results)

    @property
    def tile_words(self) -> int:
        """Words of a tile."""
        return self.rows * self.row_words


def spu_tile_spec(machine: S4Spec) -> SpuTileSpec:
    """The INT8 tile of an S4 machine's SPU.

    Raises:
        InputError: the machine computes in BF16.
    """
    if machine.precision != "int8":
        raise InputError(
            f"unit spu: hardware lanes are INT8 only (precision is {machine.precision!r})"
        )
    return SpuTileSpec(
        rows=machine.rows,
        cols=machine.cols,
        group=machine.group,
        drain_results=machine.drain_results,
        quant_latency=machine.quant_latency,
    )


class SpuTileStimulus(NamedTuple):
    """Inputs presented during each of T clocks."""

    a_valid: Bits
    a_values: Bytes  # (T, rows x group): activations of a group, row after row
    w_valid: Bits
    w_values: Bytes  # (T, cols): 0 in an idle lane
    w_indices: Bits  # (T, cols x index_bits): position in the group, low bit first
    w_group_last: Bits  # last step of its group
    w_tile_last: Bits  # last step of its tile (and so of its group)
    q_valid: Bits
    q_column: Numbers
    q_bias: Numbers  # 32 bits, as unsigned
    q_multiplier: Numbers  # 16 bits, as unsigned
    q_shift: Numbers  # 0 to 63
    relu: Bits  # smallest result: 0 instead of -128
    o_ready: Bits


class SpuTileResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    a_ready: Bits
    w_ready: Bits
    q_ready: Bits
    o_valid: Bits
    o_values: Bytes  # (T, drain_results); 0 where not valid and beyond the last filter
    o_last: Bits  # last word of its tile


def no_response(spec: SpuTileSpec, clocks: int) -> SpuTileResponse:
    """An empty response, to be filled in."""
    return SpuTileResponse(
        a_ready=np.zeros(clocks, np.bool_),
        w_ready=np.zeros(clocks, np.bool_),
        q_ready=np.zeros(clocks, np.bool_),
        o_valid=np.zeros(clocks, np.bool_),
        o_values=np.zeros((clocks, spec.drain_results), np.int8),
        o_last=np.zeros(clocks, np.bool_),
    )
