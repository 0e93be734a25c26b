"""The published speedup beside the prediction, and what two fitted parameters make of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.sat_study.settings import GB, Setting, fusion_and_bandwidth

if TYPE_CHECKING:
    import pandas as pd

#: Peak of the board, four channels: a fit above it is no explanation.
BOARD_GB = 76.8


@dataclass(frozen=True)
class Fit:
    """A pair of parameters that gives the published mean.

    Attributes:
        speedup: mean that was simulated with them (the bandwidth came from interpolation).
    """

    fusion: str
    gigabytes: float
    speedup: float = math.nan

    @property
    def setting(self) -> Setting:
        return fusion_and_bandwidth(self.fusion, self.gigabytes)

    @property
    def words(self) -> str:
        return f"dram_bandwidth = {self.gigabytes:g} GB/s, fusion = {self.fusion}"


def means(table: pd.DataFrame) -> pd.Series:
    """Mean speedup over the networks, by setting."""
    return table.groupby("setting", sort=False)["speedup"].mean()


def interpolated(
    grid: pd.DataFrame, fusions: Sequence[str], bandwidths: Sequence[float], target: float
) -> list[Fit]:
    """For each fusion, the bandwidths at which the mean crosses `target`.

    Linear in the logarithm of the bandwidth between neighbouring points of the grid; three
    significant digits.
    """
    mean = means(grid)
    found = []
    for fusion in fusions:
        curve = [float(mean[fusion_and_bandwidth(fusion, rate).name]) for rate in bandwidths]
        for place in range(len(curve) - 1):
            low, high = curve[place], curve[place + 1]
            if low == high or not min(low, high) <= target <= max(low, high):
                continue
            share = (target - low) / (high - low)
            step = bandwidths[place + 1] / bandwidths[place]
            rate = bandwidths[place] * step**share
            found.append(Fit(fusion, float(f"{rate:.3g}")))
    return found


def chosen(fits: Sequence[Fit], shipped_gigabytes: float) -> Fit | None:
    """Of the fits that the board can have, the one nearest to the shipped bandwidth."""
    possible = [fit for fit in fits if fit.gigabytes <= BOARD_GB]
    if not possible:
        return None
    return min(possible, key=lambda fit: abs(math.log(fit.gigabytes / shipped_gigabytes)))


def bandwidth_gb(value: float) -> float:
    """Bytes per second as GB/s."""
    return value / GB
