"""Weights in the two layouts in which the GEMMs of training read them.

Weights are (groups, outputs, taps, inputs). The FF layout has a row per output and columns
(kernel taps, inputs); the BP layout a row per input and columns (kernel taps, outputs). Taps keep
the order of the weight in both (row by row), although a back-propagated convolution meets them
reversed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.trace.masks import PackedBits, pack, unpack

Kept = npt.NDArray[np.bool_]
"""What is kept of a weight, shaped like it."""

Shape = tuple[int, ...]
"""(groups, outputs of a group, kernel taps, inputs of a group)."""


def forward_matrix(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(groups, outputs, taps, inputs) as (groups x outputs, taps x inputs)."""
    groups, outputs, taps, inputs = weights.shape
    return weights.reshape(groups * outputs, taps * inputs)


def backward_matrix(weights: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """(groups, outputs, taps, inputs) as (groups x inputs, taps x outputs)."""
    groups, outputs, taps, inputs = weights.shape
    return weights.transpose(0, 3, 2, 1).reshape(groups * inputs, taps * outputs)


def from_forward(bits: PackedBits, shape: Shape) -> Kept:
    """Packed bits in the FF layout as booleans shaped like the weights."""
    return unpack(bits, shape[2] * shape[3]).reshape(shape)


def from_backward(bits: PackedBits, shape: Shape) -> Kept:
    """Packed bits in the BP layout as booleans shaped like the weights."""
    groups, outputs, taps, inputs = shape
    kept = unpack(bits, taps * outputs).reshape(groups, inputs, taps, outputs)
    return np.ascontiguousarray(kept.transpose(0, 3, 2, 1))


def pack_forward(kept: Kept) -> PackedBits:
    """Booleans shaped like the weights as packed bits in the FF layout."""
    return pack(forward_matrix(kept))  # type: ignore[arg-type]


def pack_backward(kept: Kept) -> PackedBits:
    """Booleans shaped like the weights as packed bits in the BP layout."""
    return pack(backward_matrix(kept))  # type: ignore[arg-type]
