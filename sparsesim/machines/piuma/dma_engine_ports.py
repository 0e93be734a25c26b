"""The DMA engine of a PIUMA core as a write-back unit: its parameters and ports, clock by clock.

Shared by the stepped model, the reference and the RTL. T is the number of clocks, L the words of
a beat (lanes).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.machines.piuma.spec import WORD_BYTES, PiumaSpec
from sparsesim.validation import Record

#: Word addresses, strides and counts are whole numbers modulo 2^ADDRESS_BITS.
ADDRESS_BITS = 32
#: Bits of the requester's own that travel with a descriptor.
TAG_BITS = 8

Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Addresses = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]


class DmaEngineSpec(Record):
    """What a DMA engine is made of (docs/rtl.md)."""

    queue: int = Field(ge=1, le=256, description="descriptors, the one at work included")
    start_cycles: int = Field(ge=1, le=256, description="clocks from descriptor to first beat")
    beat_words: int = Field(ge=1, le=8, description="words of a beat; a power of two")
    beat_cycles: int = Field(ge=1, le=64, description="clocks between two beats")
    outstanding: int = Field(ge=1, le=64, description="beats in flight")

    @model_validator(mode="after")
    def _buildable(self) -> DmaEngineSpec:
        if self.beat_words & (self.beat_words - 1):
            raise ValueError(f"beat_words must be a power of two (got {self.beat_words})")
        return self


def dma_engine_spec(machine: PiumaSpec) -> DmaEngineSpec:
    """The DMA engine of one core."""
    return DmaEngineSpec(
        queue=machine.dma_queue,
        start_cycles=machine.dma_start_cycles,
        beat_words=machine.dma_beat_bytes // WORD_BYTES,
        beat_cycles=machine.dma_beat_cycles,
        outstanding=machine.dma_outstanding,
    )


class DmaEngineStimulus(NamedTuple):
    """Inputs presented during each of T clocks."""

    d_valid: Bits
    d_mode: Numbers  # `isa.DMA_MODES`; 7 is copy
    d_source: Words  # (T, 1): first word read, or the value that is written
    d_goal: Numbers  # first word written, or what positions are relative to
    d_count: Numbers  # words
    d_arg: Numbers  # stride, or first word of the positions
    d_tag: Numbers
    x_data: Words  # (T, L): positions, one clock after their addresses
    r_data: Words  # (T, L): words, one clock after their addresses
    done: Bits  # (T, outstanding): beats that have arrived, by slot
    o_ready: Bits


class DmaEngineResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    d_ready: Bits
    x_read: Bits
    x_address: Addresses  # (T, L); 0 where nothing is read, as the others
    r_read: Bits
    r_address: Addresses  # (T, L)
    o_valid: Bits
    o_lanes: Numbers  # words of the beat
    o_address: Addresses  # (T, L)
    o_data: Words  # (T, L)
    o_slot: Numbers  # name of the beat in flight
    o_last: Bits  # last beat of its descriptor
    o_tag: Numbers
    idle: Bits  # no descriptor is left and no beat is in flight


def quiet(spec: DmaEngineSpec, clocks: int) -> DmaEngineStimulus:
    """A stimulus without descriptors that takes every beat."""
    return DmaEngineStimulus(
        d_valid=np.zeros(clocks, np.bool_),
        d_mode=np.zeros(clocks, np.int64),
        d_source=np.zeros((clocks, 1), np.uint64),
        d_goal=np.zeros(clocks, np.int64),
        d_count=np.zeros(clocks, np.int64),
        d_arg=np.zeros(clocks, np.int64),
        d_tag=np.zeros(clocks, np.int64),
        x_data=np.zeros((clocks, spec.beat_words), np.uint64),
        r_data=np.zeros((clocks, spec.beat_words), np.uint64),
        done=np.zeros((clocks, spec.outstanding), np.bool_),
        o_ready=np.ones(clocks, np.bool_),
    )


def no_response(spec: DmaEngineSpec, clocks: int) -> DmaEngineResponse:
    """An empty response, to be filled in."""
    return DmaEngineResponse(
        d_ready=np.zeros(clocks, np.bool_),
        x_read=np.zeros(clocks, np.bool_),
        x_address=np.zeros((clocks, spec.beat_words), np.uint32),
        r_read=np.zeros(clocks, np.bool_),
        r_address=np.zeros((clocks, spec.beat_words), np.uint32),
        o_valid=np.zeros(clocks, np.bool_),
        o_lanes=np.zeros(clocks, np.int64),
        o_address=np.zeros((clocks, spec.beat_words), np.uint32),
        o_data=np.zeros((clocks, spec.beat_words), np.uint64),
        o_slot=np.zeros(clocks, np.int64),
        o_last=np.zeros(clocks, np.bool_),
        o_tag=np.zeros(clocks, np.int64),
        idle=np.zeros(clocks, np.bool_),
    )
