"""Seeded stimuli for the hash bank: collisions, full tables, back-pressure, ends in mid-flight."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma.hash_bank_ports import (
    AFADD,
    EMPTY,
    FILL,
    HASH_AADD,
    HASH_AFADD,
    LD,
    ST,
    HashBankSpec,
    HashBankStimulus,
    quiet,
)

_FLOATS = np.array(
    # zeros, subnormals, smallest normals, 1 and its neighbours, the largest, infinity, NaN
    [
        *(0x0000000000000000, 0x0000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000),
        *(0x0010000000000001, 0x3FF0000000000000, 0x3FF0000000000001, 0x3FEFFFFFFFFFFFFF),
        *(0x3CA0000000000000, 0x3CA0000000000001, 0x4340000000000000, 0x4340000000000001),
        *(0x7FEFFFFFFFFFFFFF, 0x7C90000000000000, 0x7FF0000000000000, 0x7FF4000000000001),
    ],
    np.uint64,
)
#: Regions wrap around the end of the table only where it is so small that it is emptied soon.
_WRAPPED_SLOTS = 64
_INFINITY = np.uint64(0x7FF0000000000000)
_SIGN = np.uint64(1) << np.uint64(63)


def stimulus(spec: HashBankSpec, seed: int, case: int) -> HashBankStimulus:
    """Stimulus number `case` of a seed.

    Two FILL requests empty a region; all later requests stay inside it. Kinds of operations, tags,
    homes and flow take turns; the end of the case, and so the next reset, comes in mid-flight.
    """
    rng = np.random.default_rng((seed, case))
    bits = int(rng.integers(0, min(4, spec.slots.bit_length() - 1) + 1))
    mask = (1 << bits) - 1
    base = int(rng.integers(spec.slots))
    wraps = base + mask >= spec.slots
    if wraps and (case % 3 or spec.slots > _WRAPPED_SLOTS):
        base, wraps = 0, False
    # A region that wraps around the end of the table: the whole table is emptied.
    filled = (0, spec.slots) if wraps else (base, mask + 1)
    prelude = 2 * filled[1] + 2
    clocks = prelude + int(rng.integers(20, 60)) * spec.atomic_cycles
    made = quiet(clocks)
    _empty(spec, made, *filled)
    later = slice(prelude, None)
    number = clocks - prelude
    made.i_valid[later] = _often(rng, number, case % 4 < 2)
    made.o_ready[later] = _often(rng, number, case % 2 == 0)
    made.i_op[later] = _operations(rng, number, case)
    hashes = made.i_op >= HASH_AADD
    slots = (base + rng.integers(mask + 1, size=clocks)) % spec.slots
    words = slots + spec.slots * rng.integers(2, size=clocks)
    fills = made.i_op == FILL
    made.i_address[later] = np.where(hashes, base, words)[later]
    # A FILL in between writes one word.
    made.i_mask[later] = np.where(fills, 0, mask)[later]
    tags = _tags(rng, int(rng.integers(1, 2 * (mask + 1) + 2)))
    chosen = rng.integers(len(tags), size=number)
    made.i_tag[later, 0] = tags[chosen]
    made.i_slot[later] = _homes(spec, rng, number, chosen, case)
    made.i_value[later, 0] = _values(rng, made.i_op[later], case)
    # Single operations also free and claim slots, as kernels do.
    frees = ~hashes & (rng.random(clocks) < 0.2)
    frees[:prelude] = False
    made.i_value[frees, 0] = EMPTY
    return made


def _empty(spec: HashBankSpec, made: HashBankStimulus, first: int, slots: int) -> None:
    """Tags to EMPTY, values to 0; the second request stands until it is taken."""
    made.i_valid[: slots + 1] = True
    made.i_op[: slots + 1] = FILL
    made.i_mask[: slots + 1] = slots - 1
    made.i_address[0] = first
    made.i_value[0, 0] = EMPTY
    made.i_address[1 : slots + 1] = spec.slots + first
    made.i_value[1 : slots + 1, 0] = 0


def _often(rng: np.random.Generator, clocks: int, always: bool) -> npt.NDArray[np.bool_]:
    """Always, or with bursts: a density that changes every few clocks."""
    if always:
        return np.ones(clocks, np.bool_)
    density = np.repeat(rng.random(-(-clocks // 16)), 16)[:clocks]
    return rng.random(clocks) < density


def _operations(rng: np.random.Generator, clocks: int, case: int) -> npt.NDArray[np.int64]:
    """Only hash operations, stores and sums, hash operations with loads, or everything."""
    if case % 3 == 0:
        return rng.choice([HASH_AADD, HASH_AFADD], size=clocks)
    if case % 6 == 1:
        # sums of pairs: what the adder of binary64 does in its corners
        return rng.choice([ST, AFADD], size=clocks)
    if case % 3 == 1:
        return rng.choice([LD, AFADD, HASH_AADD, HASH_AFADD], p=[0.2, 0.2, 0.2, 0.4], size=clocks)
    return rng.integers(8, size=clocks)


def _tags(rng: np.random.Generator, number: int) -> npt.NDArray[np.uint64]:
    """Small numbers, numbers that differ in the top bits only, or any."""
    kind = int(rng.integers(3))
    if kind == 0:
        return np.arange(number, dtype=np.uint64)
    if kind == 1:
        return np.arange(number, dtype=np.uint64) << np.uint64(58)
    return rng.integers(EMPTY, size=number, dtype=np.uint64)


def _homes(
    spec: HashBankSpec,
    rng: np.random.Generator,
    clocks: int,
    chosen: npt.NDArray[np.int64],
    case: int,
) -> npt.NDArray[np.int64]:
    """One home for all tags, the tag's number, or (against the rules) any."""
    if case % 4 == 0:
        return np.full(clocks, int(rng.integers(spec.slots)))
    if case % 4 == 3:
        return rng.integers(spec.slots, size=clocks)
    return chosen * int(rng.integers(1, 4)) % spec.slots


def _values(
    rng: np.random.Generator, op: npt.NDArray[np.int64], case: int
) -> npt.NDArray[np.uint64]:
    """Usual floats, floats that cancel, landmarks, or any bits."""
    clocks = op.size
    kind = case // 2 % 5
    if kind == 0:
        return rng.normal(size=clocks).view(np.uint64)
    if kind == 1:
        some = rng.normal(size=3) * 2.0 ** rng.integers(-60, 60, size=3)
        signs = rng.integers(2, size=clocks).astype(np.uint64) * _SIGN
        near = rng.integers(4, size=clocks).astype(np.uint64)
        return (rng.choice(some, size=clocks).view(np.uint64) ^ near) ^ signs
    if kind == 2:
        # few of them, or pairs that matter are rare; infinity always
        some = np.append(rng.choice(_FLOATS, size=4), _INFINITY)
        return rng.choice(some, size=clocks) ^ (
            rng.integers(2, size=clocks).astype(np.uint64) * _SIGN
        )
    if kind == 3:
        # subnormals and the smallest normals
        return rng.integers(1 << 54, size=clocks, dtype=np.uint64) ^ (
            rng.integers(2, size=clocks).astype(np.uint64) * _SIGN
        )
    return rng.integers(EMPTY, size=clocks, dtype=np.uint64)
