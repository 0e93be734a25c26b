"""The BF16 lanes of an SPU (lanes, accumulators, drain): parameters and ports, clock by clock.

Shared by the stepped model, the reference and the RTL. T is the number of clocks; floating point
values are their bit patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sparsesim.errors import InputError
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.machines.s4.spu_tile_ports import Bits, SpuTileSpec

Half = npt.NDArray[np.uint16]

#: Pipelining of the FP32 adder in `hw/arith/`
_LONGEST_STEP = 4


class Bf16TileSpec(SpuTileSpec):
    """What the BF16 lanes of one SPU are made of (docs/rtl.md)."""

    step_clocks: int = Field(ge=1, le=_LONGEST_STEP, description="clocks per step: the FP32 adder")


def bf16_tile_spec(machine: S4Spec) -> Bf16TileSpec:
    """The BF16 lanes of an S4 machine's SPU.

    Raises:
        InputError: a step takes more clocks than the adder in hardware.
    """
    if machine.bf16_step_clocks > _LONGEST_STEP:
        raise InputError(
            f"unit spu_bf16: bf16_step_clocks must be at most {_LONGEST_STEP} "
            f"(got {machine.bf16_step_clocks})"
        )
    return Bf16TileSpec(
        rows=machine.rows,
        cols=machine.cols,
        group=machine.group,
        drain_results=machine.drain_results,
        quant_latency=machine.quant_latency,
        step_clocks=machine.bf16_step_clocks,
    )


class Bf16TileStimulus(NamedTuple):
    """Inputs presented during each of T clocks."""

    a_valid: Bits
    a_values: Half  # (T, rows x group): activations of a group, row after row
    w_valid: Bits
    w_values: Half  # (T, cols)
    w_live: Bits  # (T, cols): an idle lane adds +0
    w_indices: Bits  # (T, cols x index_bits): position in the group, low bit first
    w_group_last: Bits
    w_tile_last: Bits
    o_ready: Bits


class Bf16TileResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    a_ready: Bits
    w_ready: Bits
    o_valid: Bits
    o_values: Half  # (T, drain_results); 0 where not valid and beyond the last filter
    o_last: Bits


def no_response(spec: Bf16TileSpec, clocks: int) -> Bf16TileResponse:
    """An empty response, to be filled in."""
    return Bf16TileResponse(
        a_ready=np.zeros(clocks, np.bool_),
        w_ready=np.zeros(clocks, np.bool_),
        o_valid=np.zeros(clocks, np.bool_),
        o_values=np.zeros((clocks, spec.drain_results), np.uint16),
        o_last=np.zeros(clocks, np.bool_),
    )
