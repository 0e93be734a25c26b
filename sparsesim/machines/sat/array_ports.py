"""The array with its edges (STCE): parameters and what stands on its ports, clock by clock.

Shared by the stepped core and the RTL. T is the number of clocks; floating point values are their
bit patterns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.machines.sat.spec import SatSpec, UspeSpec
from sparsesim.validation import Record

Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Half = npt.NDArray[np.uint16]
Bytes = npt.NDArray[np.uint8]
Single = npt.NDArray[np.uint32]

_MOST_WORDS = 65536


class ArraySpec(Record):
    """What the array is made of (docs/rtl.md)."""

    pe: UspeSpec
    cols: int = Field(ge=1, le=1024, description="PE columns")
    west_blocks: int = Field(
        default=512, ge=2, le=_MOST_WORDS, description="blocks of m_max activations per array row"
    )
    north_entries: int = Field(
        default=512, ge=2, le=_MOST_WORDS, description="weights with positions per column"
    )
    south_words: int = Field(
        default=512, ge=2, le=_MOST_WORDS, description="results per array column"
    )

    @model_validator(mode="after")
    def _buildable(self) -> ArraySpec:
        for name in ("west_blocks", "north_entries", "south_words"):
            value = getattr(self, name)
            if value & (value - 1):
                raise ValueError(f"{name} must be a power of two (got {value})")
        return self

    @property
    def rows(self) -> int:
        return self.pe.rows

    @property
    def round_clocks(self) -> int:
        """Clocks of one round of interleaved issues."""
        return max(self.pe.interleave, self.pe.add_latency)

    @property
    def longest_skew(self) -> int:
        """Clocks that array row r can lag row r - 1: weight-stationary with n_max kept."""
        return (self.pe.n_max - 1) * self.round_clocks + self.pe.add_latency


def array_spec(machine: SatSpec) -> ArraySpec:
    """The array of a SAT machine; its buffers are spread over the rows and columns.

    Each depth is the largest power of two that fits (a position takes a whole byte), at most 64 K.
    """
    block_bytes = 2 * machine.m_max
    return ArraySpec(
        pe=machine.uspe,
        cols=machine.cols,
        west_blocks=_depth(machine.act_buffer_bytes, machine.rows * block_bytes),
        north_entries=_depth(machine.weight_buffer_bytes, machine.cols * 3),
        south_words=_depth(machine.out_buffer_bytes, machine.cols * 4),
    )


def _depth(buffer_bytes: int, word_bytes: int) -> int:
    words = max(2, buffer_bytes // word_bytes)
    return min(_MOST_WORDS, 1 << words.bit_length() - 1)


class ArrayStimulus(NamedTuple):
    """Inputs presented during each of T clocks."""

    a_valid: Bits  # write a block of activations into the buffer of array row `a_row`
    a_row: Numbers
    a_address: Numbers
    a_block: Half  # (T, m_max)
    w_valid: Bits  # write one weight per column into the north buffers
    w_address: Numbers
    w_value: Half  # (T, cols)
    w_index: Bytes  # (T, cols)
    start_valid: Bits  # begin a pass
    start_os: Bits
    start_kept: Numbers  # N
    start_used: Numbers  # accumulators used (OS)
    start_accumulate: Bits  # add to what is in the south buffers
    start_a_base: Numbers
    start_w_base: Numbers
    start_o_base: Numbers
    unit_valid: Bits  # the west buffers hold one more fetch unit
    unit_count: Numbers  # its result rows (WS) or groups (OS)
    unit_last: Bits
    o_read: Bits  # read the south buffers, while no pass runs; data follow one clock later
    o_address: Numbers


class ArrayResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    a_ready: Bits  # always
    w_ready: Bits  # always
    start_ready: Bits
    unit_ready: Bits
    busy: Bits  # the clocks of the pass, as docs/sat.md counts them
    frozen: Bits  # the array stands still: the next unit is not there
    p_valid: Bits  # (T, cols) words that leave the last row
    p_value: Single  # (T, cols); 0 where not valid
    o_valid: Bits
    o_data: Single  # (T, cols); 0 where not valid


def quiet(spec: ArraySpec, clocks: int) -> ArrayStimulus:
    """A stimulus of `clocks` clocks with nothing on any port."""

    def bits() -> Bits:
        return np.zeros(clocks, np.bool_)

    def numbers() -> Numbers:
        return np.zeros(clocks, np.int64)

    return ArrayStimulus(
        a_valid=bits(),
        a_row=numbers(),
        a_address=numbers(),
        a_block=np.zeros((clocks, spec.pe.m_max), np.uint16),
        w_valid=bits(),
        w_address=numbers(),
        w_value=np.zeros((clocks, spec.cols), np.uint16),
        w_index=np.zeros((clocks, spec.cols), np.uint8),
        start_valid=bits(),
        start_os=bits(),
        start_kept=numbers(),
        start_used=numbers(),
        start_accumulate=bits(),
        start_a_base=numbers(),
        start_w_base=numbers(),
        start_o_base=numbers(),
        unit_valid=bits(),
        unit_count=numbers(),
        unit_last=bits(),
        o_read=bits(),
        o_address=numbers(),
    )
