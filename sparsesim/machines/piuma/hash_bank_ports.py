"""A hash-scratchpad bank: its parameters and what stands on its ports, clock by clock.

Shared by the stepped model, the reference and the RTL. T is the number of clocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.errors import InputError
from sparsesim.machines.piuma.spec import PiumaSpec
from sparsesim.validation import Record

#: Operations. LD to AFADD are the memory instructions of `isa`, on one word.
LD, ST, CAS, AADD, AFADD, FILL, HASH_AADD, HASH_AFADD = range(8)
OPERATIONS = ("ld", "st", "cas", "aadd", "afadd", "fill", "hash_aadd", "hash_afadd")
#: What a response says: done; done and a slot was claimed; no slot is free.
DONE, CLAIMED, FULL = range(3)
#: A slot whose tag is this is free (all ones: -1).
EMPTY = 2**64 - 1
#: The NaN that leaves the adder, whatever payloads went in.
QUIET_NAN = 0x7FF8000000000000

Bits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class HashBankSpec(Record):
    """What one bank is made of (docs/rtl.md)."""

    slots: int = Field(ge=2, le=2**20, description="slots of the table; a power of two")
    atomic_cycles: int = Field(ge=2, le=64, description="clocks of an atomic, and of a probe")

    @model_validator(mode="after")
    def _buildable(self) -> HashBankSpec:
        if self.slots & (self.slots - 1):
            raise ValueError(f"slots must be a power of two (got {self.slots})")
        return self

    @property
    def words(self) -> int:
        """Words of the bank: the tags of all slots, then the values of all slots."""
        return 2 * self.slots


def hash_bank_spec(machine: PiumaSpec) -> HashBankSpec:
    """A scratchpad bank of a PIUMA machine, all of it used as a table.

    Raises:
        InputError: a bank has fewer than four words, or an atomic takes one clock.
    """
    if machine.atomic_cycles < 2:
        raise InputError(
            "unit hash_bank: a synchronous memory needs atomic_cycles of at least 2 "
            f"(got {machine.atomic_cycles})"
        )
    slots = machine.spad_words // machine.spad_banks // 2
    if slots < 2:
        raise InputError(f"unit hash_bank: a bank needs at least 4 words (got {2 * slots})")
    return HashBankSpec(slots=slots, atomic_cycles=machine.atomic_cycles)


class HashBankStimulus(NamedTuple):
    """Inputs presented during each of T clocks; words have shape (T, 1)."""

    i_valid: Bits
    i_op: Numbers
    i_address: Numbers  # word; for hash operations the first slot of the region
    i_slot: Numbers  # home slot in the region; its bits outside the mask are ignored
    i_mask: Numbers  # slots of the region - 1; for FILL words - 1
    i_tag: Words  # tag, or what CAS compares with
    i_value: Words  # addend, or what ST, CAS and FILL write
    o_ready: Bits


class HashBankResponse(NamedTuple):
    """Outputs visible during each of T clocks, before the edge that ends the clock."""

    i_ready: Bits
    o_valid: Bits
    o_status: Numbers  # 0 where not valid, as the others
    o_slot: Numbers  # slot in the region that holds the tag, 0 where no hash operation succeeded
    o_value: Words  # the word before the operation; 0 after ST, FILL and where FULL


def quiet(clocks: int) -> HashBankStimulus:
    """A stimulus without requests that takes every response."""
    return HashBankStimulus(
        i_valid=np.zeros(clocks, np.bool_),
        i_op=np.zeros(clocks, np.int64),
        i_address=np.zeros(clocks, np.int64),
        i_slot=np.zeros(clocks, np.int64),
        i_mask=np.zeros(clocks, np.int64),
        i_tag=np.zeros((clocks, 1), np.uint64),
        i_value=np.zeros((clocks, 1), np.uint64),
        o_ready=np.ones(clocks, np.bool_),
    )


def no_response(clocks: int) -> HashBankResponse:
    """An empty response, to be filled in."""
    return HashBankResponse(
        i_ready=np.zeros(clocks, np.bool_),
        o_valid=np.zeros(clocks, np.bool_),
        o_status=np.zeros(clocks, np.int64),
        o_slot=np.zeros(clocks, np.int64),
        o_value=np.zeros((clocks, 1), np.uint64),
    )
