"""From accumulators to stored activations: what the drain path does to each result."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def requantise(
    sums: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.int32],
    relu: bool,
) -> npt.NDArray[np.int8]:
    """INT32 sums (rows, filters) to INT8, with a bias, multiplier and shift per filter.

    q = saturate((sum + bias) x multiplier / 2^shift), rounded to nearest, halves up; 16-bit
    multipliers, shifts of 1 to 47. The product has 49 bits at most and is exact.
    """
    wide = (sums.astype(np.int64) + bias) * multiplier
    rounded = (wide + (np.int64(1) << (shift.astype(np.int64) - 1))) >> shift.astype(np.int64)
    low = 0 if relu else -128
    return np.clip(rounded, low, 127).astype(np.int8)


def to_bf16(sums: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """FP32 to the nearest BF16 (ties to even), kept as float32; finite values."""
    bits = sums.astype(np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    return rounded.astype(np.uint32).view(np.float32)
