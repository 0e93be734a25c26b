"""Operand pairs for floating point operators, random and directed, and their golden results."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Single = npt.NDArray[np.uint32]
Half = npt.NDArray[np.uint16]

_EXPONENT = np.uint32(0x7F800000)
_REST = np.uint32(0x807FFFFF)
_SINGLES = np.array(
    [
        *(0x00000000, 0x00000001, 0x00000002, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF),
        *(0x01000000, 0x0C000000, 0x33800000, 0x33800001, 0x34000000, 0x3F7FFFFF, 0x3F800000),
        *(0x3F800001, 0x4B7FFFFF, 0x4B800000, 0x4B800001, 0x73000000, 0x73000001, 0x72FFFFFF),
        *(0x7F7FFFFE, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FBFFFFF, 0x7FC00000, 0x7FFFFFFF),
    ],
    dtype=np.uint32,
)


def single_pairs(count: int, seed: int) -> tuple[Single, Single]:
    """FP32 operand bits: every pair of landmarks and signs, then `count` random ones.

    The random ones are any bits, near cancellation, equal magnitudes, both subnormal or nearly
    so, and exponents so far apart that only rounding and sticky bits are left.
    """
    landmarks = np.concatenate([_SINGLES, _SINGLES | np.uint32(1 << 31)])
    first, second = (side.ravel() for side in np.meshgrid(landmarks, landmarks))
    rng = np.random.default_rng(seed)
    x = rng.integers(1 << 32, size=count, dtype=np.uint32)
    y = rng.integers(1 << 32, size=count, dtype=np.uint32)
    tiny = rng.integers(4, size=count, dtype=np.uint32)
    low = rng.integers(30, size=(2, count), dtype=np.uint32) << np.uint32(23)
    kind = rng.integers(6, size=count)

    def beside(distance: int) -> Single:
        exponent = (x >> np.uint32(23) & np.uint32(0xFF)).astype(np.int64)
        moved = np.clip(exponent + rng.integers(-distance, distance + 1, size=count), 0, 254)
        return moved.astype(np.uint32) << np.uint32(23)

    x = np.where(kind == 2, x & _REST | low[0], x)
    y = np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3, kind == 4],
        [
            x ^ np.uint32(1 << 31) ^ tiny,
            x & _EXPONENT | y & _REST,
            y & _REST | low[1],
            beside(2) | y & _REST,
            # few fraction bits: exact halves of the last place are frequent
            beside(28) | y & np.uint32(0x80600001),
        ],
        y,
    )
    return np.concatenate([first, x]), np.concatenate([second, y])


def product_pairs(count: int, seed: int) -> tuple[Single, Single]:
    """FP32 operand bits whose product is near the subnormal range or infinity, or lies in it.

    Fractions of few bits, so that ties in the places that are left are frequent; many factors are
    subnormal themselves.
    """
    rng = np.random.default_rng(seed)
    # The product has the exponent field `total` - 127, and is half of the smallest number at -23.
    total = np.where(
        rng.random(count) < 0.8,
        rng.integers(127 - 27, 127 + 30, size=count),
        rng.integers(127 + 250, 127 + 258, size=count),
    )
    exponent = rng.integers(np.maximum(total - 254, 0), np.minimum(total, 254) + 1)
    exponent = np.where(rng.random(count) < 0.2, 0, exponent)
    swap = rng.random(count) < 0.5
    other = np.minimum(total - exponent, 254)
    exponent, other = np.where(swap, other, exponent), np.where(swap, exponent, other)

    def of(exponents: npt.NDArray[np.int64]) -> Single:
        places = rng.integers(1 << 23, size=count)
        few = rng.choice([0x7FFFFF, 0x600000, 0x7FF000, 0x000003, 0x000FFF, 0x010001], size=count)
        sign = rng.integers(2, size=count) << 31
        return (sign | exponents << 23 | places & few).astype(np.uint32)

    return of(exponent), of(other)


def half_pairs(count: int, seed: int) -> tuple[Half, Half]:
    """FP16 operand bits: every value with five landmarks, and `count` random pairs, shuffled."""
    every = np.arange(1 << 16, dtype=np.uint16)
    landmarks = np.array([0x0000, 0x8001, 0x3C00, 0x7BFF, 0xFC00], dtype=np.uint16)
    rng = np.random.default_rng(seed)
    random = rng.integers(1 << 16, size=(2, count), dtype=np.uint16)
    order = rng.permutation(5 * len(every) + count)
    return (
        np.concatenate([np.tile(every, 5), random[0]])[order],
        np.concatenate([np.repeat(landmarks, len(every)), random[1]])[order],
    )


def sums(x: Single, y: Single) -> Single:
    """NumPy's FP32 sums as bits, NaN canonical."""
    with np.errstate(all="ignore"):
        return _canonical(x.view(np.float32) + y.view(np.float32))


def products(x: Half, y: Half) -> Single:
    """NumPy's FP32 products of FP16 operands as bits, NaN canonical."""
    wide = [side.view(np.float16).astype(np.float32) for side in (x, y)]
    with np.errstate(all="ignore"):
        return _canonical(wide[0] * wide[1])


def _canonical(values: npt.NDArray[np.float32]) -> Single:
    return np.where(np.isnan(values), np.uint32(0x7FC00000), values.view(np.uint32))
