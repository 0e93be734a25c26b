"""What stands on the ports of one USPE, clock by clock: stimuli and responses as flat arrays.

Shared by the stepped core, the NumPy reference and the RTL, so that all three are compared on
the same bits. T is the number of clocks; floating point values are their bit patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.spec import UspeSpec

Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Half = npt.NDArray[np.uint16]
Single = npt.NDArray[np.uint32]


class UspeStimulus(NamedTuple):
    """Inputs presented during each of T clocks (docs/sat.md section 1)."""

    en: Bits
    a: Half  # (T, m_max)
    op_mac: Bits
    op_drain: Bits
    op_first: Bits
    op_last: Bits
    op_os: Bits
    op_slot: Numbers
    op_acc: Numbers
    w_load: Bits
    w_row: Numbers
    w_slot: Numbers
    w_value: Half
    w_index: Numbers
    p_valid: Bits
    p_value: Single


class UspeResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    a: Half  # (T, m_max)
    op_mac: Bits
    op_drain: Bits
    op_first: Bits
    op_last: Bits
    op_os: Bits
    op_slot: Numbers
    op_acc: Numbers
    w_load: Bits
    w_row: Numbers
    w_slot: Numbers
    w_value: Half
    w_index: Numbers
    p_valid: Bits
    p_value: Single


def quiet(spec: UspeSpec, clocks: int) -> UspeStimulus:
    """A stimulus of `clocks` enabled clocks with nothing on any port."""

    def bits() -> Bits:
        return np.zeros(clocks, dtype=np.bool_)

    def numbers() -> Numbers:
        return np.zeros(clocks, dtype=np.int64)

    return UspeStimulus(
        en=np.ones(clocks, dtype=np.bool_),
        a=np.zeros((clocks, spec.m_max), dtype=np.uint16),
        op_mac=bits(),
        op_drain=bits(),
        op_first=bits(),
        op_last=bits(),
        op_os=bits(),
        op_slot=numbers(),
        op_acc=numbers(),
        w_load=bits(),
        w_row=numbers(),
        w_slot=numbers(),
        w_value=np.zeros(clocks, dtype=np.uint16),
        w_index=numbers(),
        p_valid=bits(),
        p_value=np.zeros(clocks, dtype=np.uint32),
    )
