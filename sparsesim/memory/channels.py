"""Channels of one DRAM: consecutive stripes of a transfer lie on consecutive channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


def striped_bytes(sizes: Numbers, channels: int, stripe_bytes: int) -> Numbers:
    """What each transfer would take on evenly loaded channels: its fullest channel, on all.

    Args:
        sizes: bytes of each transfer, which starts at the first channel.
        stripe_bytes: consecutive bytes on one channel.
    """
    if channels == 1:
        return sizes
    rounds = sizes // (stripe_bytes * channels)
    left = sizes - rounds * stripe_bytes * channels
    return channels * (rounds * stripe_bytes + np.minimum(left, stripe_bytes))
