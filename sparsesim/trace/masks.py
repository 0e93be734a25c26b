"""Bit-packed masks: one bit per element, each row padded to a whole byte along the reduction."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparsesim.trace.patterns import NM, Balanced, Dense, Pattern, Unstructured
from sparsesim.validation import Record

PackedBits = npt.NDArray[np.uint8]

#: A larger mask is refused when a trace is read: its file could be small and fill the memory.
MAX_MASK_BYTES = 2**32
_DRAWN_AT_ONCE = 2**20


class Generator(Record):
    """A mask that is not stored: drawn again from its pattern and `seed` when asked for."""

    pattern: Annotated[Dense | NM | Balanced | Unstructured, Field(discriminator="kind")]
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _along_the_columns(self) -> Generator:
        if isinstance(self.pattern, NM | Balanced) and self.pattern.axis != "k":
            raise ValueError(f"a mask is generated along axis 'k' (got {self.pattern.axis!r})")
        return self


class Mask(Record):
    """A stored or generated mask of `rows` x `columns`, columns being the reduction axis.

    Row order: the operand's other axis, group by group. Column order: kernel taps, then
    channels (channels fastest), so that N:M groups are `m` neighbouring bits.
    """

    id: str = Field(min_length=1, pattern=r"^[^/\\\x00]+$")
    tensor: str
    rows: Annotated[int, Field(ge=1)]
    columns: Annotated[int, Field(ge=1)]
    packing: Literal["bits-le"] = "bits-le"
    generator: Generator | None = None

    @model_validator(mode="after")
    def _can_be_held(self) -> Mask:
        rows, row_bytes = self.packed_shape
        if rows * row_bytes > MAX_MASK_BYTES:
            raise ValueError(
                f"mask {self.id!r} of {self.rows} x {self.columns} takes more than "
                f"{MAX_MASK_BYTES} bytes"
            )
        if self.generator is not None:
            group = group_length(self.generator.pattern)
            if self.columns % group:
                raise ValueError(
                    f"mask {self.id!r}: groups of M={group} do not divide its {self.columns} "
                    "columns"
                )
        return self

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


def group_length(pattern: Pattern) -> int:
    """Elements in a group of an N:M or balanced pattern; 1 for the others."""
    if isinstance(pattern, NM):
        return pattern.m
    return pattern.group if isinstance(pattern, Balanced) else 1


def group_counts(bits: PackedBits, columns: int, group: int) -> npt.NDArray[np.uint32]:
    """Ones in every `group` consecutive columns: shape (rows, columns // group).

    Works on packed bytes where `group` is a multiple of 8; `columns` is a multiple of `group`.
    """
    if group % 8 == 0:
        ones = np.bitwise_count(bits).reshape(bits.shape[0], -1, group // 8)
    else:
        ones = unpack(bits, columns).reshape(bits.shape[0], -1, group)
    return ones.sum(axis=2, dtype=np.uint32)


def first_violation(
    bits: PackedBits, columns: int, pattern: Pattern
) -> tuple[int, int, int] | None:
    """First (row, group, ones) at which a mask breaks an N:M or balanced pattern.

    Groups run along the columns for axis k, and down the rows for m and n (the row is then the
    mask's column).
    """
    if not isinstance(pattern, NM | Balanced):
        return None
    if pattern.axis != "k":
        bits, columns = pack(unpack(bits, columns).T), bits.shape[0]
    counts = group_counts(bits, columns, group_length(pattern))
    wrong = counts > pattern.n if isinstance(pattern, NM) else counts != pattern.kept
    if not wrong.any():
        return None
    row, group = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return int(row), int(group), int(counts[row, group])


def generate(mask: Mask) -> PackedBits:
    """Draw the mask that `mask.generator` describes; the same bits for the same seed."""
    assert mask.generator is not None
    rng = np.random.default_rng(mask.generator.seed)
    bits = np.empty(mask.packed_shape, dtype=np.uint8)
    step = max(1, _DRAWN_AT_ONCE // mask.columns)  # the draws take 8 bytes per element
    for start in range(0, mask.rows, step):
        rows = min(step, mask.rows - start)
        bits[start : start + rows] = pack(_draw(rng, rows, mask.columns, mask.generator.pattern))
    return bits


def _draw(
    rng: np.random.Generator, rows: int, columns: int, pattern: Pattern
) -> npt.NDArray[np.bool_]:
    if isinstance(pattern, NM | Balanced):
        group = group_length(pattern)
        keep = pattern.n if isinstance(pattern, NM) else pattern.kept
        order = rng.random((rows, columns // group, group)).argsort(axis=2)
        return (order < keep).reshape(rows, columns)
    if isinstance(pattern, Unstructured):
        return rng.random((rows, columns)) < pattern.density
    return np.ones((rows, columns), dtype=np.bool_)
