"""Which sparsity pattern the zeros of a weight already follow.

Looked for in this order, the first that holds is stated:

1. blocks: aligned rectangles, whole rows or whole columns that are kept or dropped together;
2. N:M along the input channels, then along the output channels: the smallest group (a power of
   two) in which at most N < M weights are kept; equal counts in groups of 32 and more are balanced;
3. constant fan-in: as many kept in every row;
4. unstructured.

-0 counts as zero. Fewer zeros than 1 % without a structure are no pruning: the weight is dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparsesim.trace import NM, Balanced, Block, Dense, Unstructured
from sparsesim.trace.patterns import Pattern

Kept = npt.NDArray[np.bool_]

#: Shorter groups are N:M, longer ones with equal counts are balanced.
BALANCED_FROM = 32
MAX_GROUP = 1024
#: Without equal counts, groups are claimed only where so many of the allowed places are used.
_USED = 0.9
_FEWEST_GROUPS = 16
_DENSE_BELOW = 0.01


@dataclass(frozen=True)
class Detected:
    """What the zeros of one weight follow.

    Attributes:
        words: the pattern, as messages and the provenance state it.
        forward: pattern of operand B in FF, rows outputs and columns (taps, inputs).
        backward: of operand B in BP, rows inputs and columns (taps, outputs).
        density: fraction of the weights kept.
    """

    words: str
    forward: Pattern
    backward: Pattern
    density: float

    @property
    def sparse(self) -> bool:
        return not isinstance(self.forward, Dense)


def detect(kept: Kept) -> Detected:
    """Classify the nonzeros of a weight, (groups, outputs, taps, inputs) booleans."""
    count = int(np.count_nonzero(kept))
    density = count / kept.size
    if count == kept.size:
        return Detected("dense", Dense(), Dense(), 1.0)
    if count == 0:
        return Detected("all zero: counted dense", Dense(), Dense(), 0.0)
    found = _block(kept, density) or _along_channels(kept) or _constant_fan_in(kept)
    if found is not None:
        words, forward, backward = found
        return Detected(words, forward, backward, density)
    if density > 1.0 - _DENSE_BELOW:
        return Detected(f"dense ({kept.size - count} zeros)", Dense(), Dense(), density)
    pattern = Unstructured(density=density)
    return Detected(f"unstructured {1 - density:.1%}", pattern, pattern, density)


_Found = tuple[str, Pattern, Pattern]


def _along_channels(kept: Kept) -> _Found | None:
    inputs = _grouped(kept)
    outputs = _grouped(np.ascontiguousarray(kept.transpose(0, 3, 2, 1)))
    if inputs is not None and outputs is not None and inputs == outputs:
        pattern = _pattern(inputs)
        return f"{_words(inputs)} along both channels (transposable)", pattern, pattern
    if inputs is not None:
        pattern = _pattern(inputs)
        return f"{_words(inputs)} along the input channels", pattern, _other_axis(pattern)
    if outputs is not None:
        pattern = _pattern(outputs)
        return f"{_words(outputs)} along the output channels", _other_axis(pattern), pattern
    return None


def _other_axis(pattern: NM | Balanced) -> NM | Balanced:
    return pattern.model_copy(update={"axis": "n"})


@dataclass(frozen=True)
class _Group:
    kept: int
    length: int
    equal: bool


def _words(group: _Group) -> str:
    if group.equal and group.length >= BALANCED_FROM:
        return f"balanced {group.kept}/{group.length}"
    return f"{group.kept}:{group.length}"


def _pattern(group: _Group) -> NM | Balanced:
    if group.equal and group.length >= BALANCED_FROM:
        return Balanced(group=group.length, kept=group.kept)
    return NM(n=group.kept, m=group.length)


def _grouped(kept: Kept) -> _Group | None:
    """The shortest aligned groups along the last axis that never keep all of theirs."""
    total = int(np.count_nonzero(kept))
    for length, counts in _counts(kept):
        most, least = int(counts.max()), int(counts.min())
        if most == length or (length == kept.shape[-1] and length >= BALANCED_FROM):
            continue
        if most == least:
            return _Group(most, length, True)
        used = total / (most * counts.size)
        if length < BALANCED_FROM and used >= _USED and counts.size >= _FEWEST_GROUPS:
            return _Group(most, length, False)
    return None


def _counts(kept: Kept) -> Iterator[tuple[int, npt.NDArray[np.uint16]]]:
    """Ones in aligned groups of 2, 4, 8 ... along the last axis, while they divide it."""
    counts = kept.astype(np.uint16)
    length = 1
    while counts.shape[-1] % 2 == 0 and length < MAX_GROUP:
        counts = counts[..., 0::2] + counts[..., 1::2]
        length *= 2
        yield length, counts


def _constant_fan_in(kept: Kept) -> _Found | None:
    taps, inputs = kept.shape[2:]
    counts = np.count_nonzero(kept, axis=(2, 3))
    used = counts[counts > 0]
    if used.size < 2 or used.min() != used.max():
        return None
    fan_in, empty = int(used[0]), counts.size - used.size
    if fan_in == taps * inputs:
        return None
    words = f"constant fan-in {fan_in} of {taps * inputs}"
    if empty or taps > 1:
        pattern = Unstructured(density=int(counts.sum()) / kept.size)
        return words + (f" ({empty} empty rows)" if empty else ""), pattern, pattern
    balanced = Balanced(group=inputs, kept=fan_in)
    return words, balanced, _other_axis(balanced)


def _block(kept: Kept, density: float) -> _Found | None:
    """Largest aligned rectangles (powers of two, or whole rows and columns) of equal bits."""
    groups, outputs, taps, inputs = kept.shape
    rows = kept.reshape(groups * outputs, taps * inputs)
    wide = _uniform(kept, inputs)
    whole_rows = bool((rows == rows[:, :1]).all())
    turned = np.ascontiguousarray(kept.transpose(0, 2, 3, 1))
    tall = _uniform(turned, outputs)
    columns = kept.all(axis=1) | ~kept.any(axis=1)
    whole_columns = bool(columns.all())
    if whole_rows:
        dropped = int((~rows[:, 0]).sum())
        words = f"whole rows ({dropped} of {rows.shape[0]} output channels removed)"
        forward = Block(rows=1, columns=rows.shape[1], density=density)
        return words, forward, Block(rows=inputs, columns=1, density=density)
    if whole_columns and outputs > 1:
        words = f"whole columns ({1 - density:.1%} of the inputs of every output removed)"
        forward = Block(rows=outputs, columns=1, density=density)
        return words, forward, Block(rows=1, columns=taps * outputs if taps == 1 else outputs,
                                     density=density)  # fmt: skip
    if wide * tall < 4 or (min(wide, tall) == 1 and max(wide, tall) < 4):
        return None
    # Uniform along both axes is uniform in the rectangle: rows that agree, agree in each column.
    forward = Block(rows=tall, columns=wide, density=density)
    backward = Block(rows=wide, columns=tall, density=density)
    return f"block {tall}x{wide} {1 - density:.1%}", forward, backward


def _uniform(kept: Kept, extent: int) -> int:
    """Longest aligned run (a power of two that divides the last axis) of equal bits."""
    longest = 1
    for length, counts in _counts(kept):
        if length > extent or not ((counts == 0) | (counts == length)).all():
            break
        longest = length
    return longest
