"""The N:M sorter lane (SORE): its parameters and what stands on its ports, clock by clock.

Shared by the stepped core, the reference and the RTL. T is the number of clocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.errors import InputError
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.validation import Record

Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Half = npt.NDArray[np.uint16]


class SorterSpec(Record):
    """What one sorter lane is made of (docs/rtl.md)."""

    m_max: int = Field(ge=2, le=64, description="values in the longest group; a power of two")
    n_max: int = Field(ge=1, le=64, description="values kept of a group at most")

    @model_validator(mode="after")
    def _buildable(self) -> SorterSpec:
        if self.m_max & (self.m_max - 1):
            raise ValueError(f"m_max must be a power of two (got {self.m_max})")
        if self.n_max > self.m_max:
            raise ValueError(f"n_max {self.n_max} must not exceed m_max {self.m_max}")
        return self


def sorter_spec(machine: SatSpec) -> SorterSpec:
    """The sorter lane of a SAT machine.

    Raises:
        InputError: the machine has no groups (`m_max` 1).
    """
    if machine.m_max < 2:
        raise InputError(f"unit sore: a sorter needs m_max of at least 2 (got {machine.m_max})")
    return SorterSpec(m_max=machine.m_max, n_max=min(machine.sorter_entries, machine.m_max))


class SorterStimulus(NamedTuple):
    """Inputs presented during each of T clocks."""

    i_valid: Bits
    i_value: Half
    i_last: Bits  # ends the group; so does its m_max-th value
    keep: Numbers  # N: values kept of the group that ends in this clock
    o_ready: Bits


class SorterResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    i_ready: Bits
    o_valid: Bits
    o_value: Half  # 0 where not valid, as the index and last
    o_index: Numbers  # position in the group
    o_last: Bits  # the last kept value of its group
