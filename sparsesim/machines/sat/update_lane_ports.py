"""A lane of the weight update engine (WUVE): parameters and what stands on its ports.

Shared by the stepped core, the reference and the RTL. T is the number of clocks; floating point
values are their bit patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sparsesim.machines.sat.spec import SatSpec
from sparsesim.validation import Record

Bits = npt.NDArray[np.bool_]
Half = npt.NDArray[np.uint16]
Single = npt.NDArray[np.uint32]


class UpdateLaneSpec(Record):
    """What one lane is made of (docs/rtl.md)."""

    mul_latency: int = Field(ge=1, le=4, description="FP32 multiplier, clocks")
    add_latency: int = Field(ge=1, le=4, description="FP32 adder, clocks")


def update_lane_spec(machine: SatSpec) -> UpdateLaneSpec:
    """The lane of a SAT machine: its adder, and its multiplier with a normaliser and a rounder.

    The FP16 multiplier of a PE is exact; FP32 products must be normalised and rounded, which
    takes one clock each.
    """
    return UpdateLaneSpec(mul_latency=machine.mul_latency + 2, add_latency=machine.add_latency)


class UpdateStimulus(NamedTuple):
    """Inputs presented during each of T clocks."""

    i_valid: Bits
    i_gradient: Half
    i_weight: Single  # master weight
    i_velocity: Single
    i_pruned: Bits  # the weight is masked: decays by `decay_pruned`
    learning_rate: Single
    momentum: Single
    decay: Single
    decay_pruned: Single
    o_ready: Bits


class UpdateResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    i_ready: Bits
    o_valid: Bits
    o_weight: Single  # 0 where not valid, as the others
    o_velocity: Single
    o_half: Half  # the weight rounded to FP16
