"""Bit-packed masks: one bit per element, each row padded to a whole byte along the reduction."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sparsesim.trace.patterns import NM, Balanced, Pattern, Unstructured
from sparsesim.validation import Record

PackedBits = npt.NDArray[np.uint8]


class Generator(Record):
    """A mask that is not stored: drawn again from its pattern and `seed` when asked for."""

    pattern: Pattern
    seed: int = Field(ge=0)


class Mask(Record):
    """A stored or generated mask of `rows` x `columns`, columns being the reduction axis.

    Row order: the operand's other axis, group by group. Column order: kernel taps, then
    channels (channels fastest), so that N:M groups are `m` neighbouring bits.
    """

    id: str = Field(min_length=1, pattern=r"^[^/\\]+$")
    tensor: str
    rows: Annotated[int, Field(ge=1)]
    columns: Annotated[int, Field(ge=1)]
    packing: Literal["bits-le"] = "bits-le"
    generator: Generator | None = None

    @property
    def packed_shape(self) -> tuple[int, int]:
        """Shape in bytes of the packed array."""
        return self.rows, (self.columns + 7) // 8


def pack(mask: npt.NDArray[np.bool_]) -> PackedBits:
    """Pack a boolean (rows, columns) array; bit 0 of byte 0 is column 0."""
    return np.packbits(mask, axis=1, bitorder="little")


def unpack(bits: PackedBits, columns: int) -> npt.NDArray[np.bool_]:
    """Inverse of `pack`: a boolean (rows, `columns`) array."""
    return np.unpackbits(bits, axis=1, count=columns, bitorder="little").view(np.bool_)


def kept(bits: PackedBits) -> int:
    """Number of ones in packed bits (the padding is zero)."""
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def group_counts(bits: PackedBits, columns: int, group: int) -> npt.NDArray[np.uint8]:
    """Ones in every `group` consecutive columns: shape (rows, columns // group).

    Works on packed bytes where `group` is a multiple of 8; `columns` is a multiple of `group`.
    """
    if group % 8 == 0:
        ones = np.bitwise_count(bits).reshape(bits.shape[0], -1, group // 8)
        return ones.sum(axis=2, dtype=np.uint8 if group < 256 else np.uint16)
    return unpack(bits, columns).reshape(bits.shape[0], -1, group).sum(axis=2, dtype=np.uint8)


def first_violation(
    bits: PackedBits, columns: int, pattern: Pattern
) -> tuple[int, int, int] | None:
    """First (row, group, ones) at which a mask breaks a k-axis N:M or balanced pattern."""
    if isinstance(pattern, NM):
        group, allowed, exact = pattern.m, pattern.n, False
    elif isinstance(pattern, Balanced):
        group, allowed, exact = pattern.group, pattern.kept, True
    else:
        return None
    counts = group_counts(bits, columns, group)
    wrong = counts != allowed if exact else counts > allowed
    if not wrong.any():
        return None
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return int(row), int(column), int(counts[row, column])


def generate(mask: Mask) -> PackedBits:
    """Draw the mask that `mask.generator` describes; the same bits for the same seed."""
    assert mask.generator is not None
    rng = np.random.default_rng(mask.generator.seed)
    pattern = mask.generator.pattern
    shape = (mask.rows, mask.columns)
    if isinstance(pattern, NM | Balanced):
        group = pattern.m if isinstance(pattern, NM) else pattern.group
        keep = pattern.n if isinstance(pattern, NM) else pattern.kept
        order = rng.random((mask.rows, mask.columns // group, group)).argsort(axis=2)
        return pack((order < keep).reshape(shape))
    if isinstance(pattern, Unstructured):
        return pack(rng.random(shape) < pattern.density)
    return pack(np.ones(shape, dtype=np.bool_))
