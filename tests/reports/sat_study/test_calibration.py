"""The fit of two parameters to one published number."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from reports.sat_study.calibration import BOARD_GB, Fit, chosen, interpolated, means
from reports.sat_study.settings import fusion_and_bandwidth

RATES = (10.0, 20.0, 40.0)


def grid(curves: dict[str, tuple[float, ...]]) -> pd.DataFrame:
    """Two networks whose mean is the curve."""
    return pd.DataFrame(
        [
            {"setting": fusion_and_bandwidth(fusion, rate).name, "speedup": mean + off}
            for fusion, curve in curves.items()
            for rate, mean in zip(RATES, curve, strict=True)
            for off in (-0.25, 0.25)
        ]
    )


def test_the_mean_is_over_networks() -> None:
    found = means(grid({"none": (1.5, 1.7, 1.8)}))
    assert list(found) == pytest.approx([1.5, 1.7, 1.8])


def test_a_crossing_is_interpolated_in_the_logarithm() -> None:
    fits = interpolated(grid({"none": (1.5, 1.7, 1.8)}), ["none"], RATES, 1.6)
    assert [fit.fusion for fit in fits] == ["none"]
    assert fits[0].gigabytes == pytest.approx(10 * math.sqrt(2), rel=1e-2)
    assert math.isnan(fits[0].speedup)  # nobody has simulated it yet


def test_every_curve_that_crosses_gives_a_fit() -> None:
    curves = {"none": (1.5, 1.7, 1.8), "elementwise": (1.8, 1.81, 1.82), "drain": (1.9, 1.6, 1.9)}
    fits = interpolated(grid(curves), list(curves), RATES, 1.75)
    assert [fit.fusion for fit in fits] == ["none", "drain", "drain"]
    assert 20 < fits[0].gigabytes < 40
    assert 10 < fits[1].gigabytes < 20 < fits[2].gigabytes < 40


def test_the_fit_chosen_is_one_that_the_board_can_have() -> None:
    fits = [Fit("none", 1.05 * BOARD_GB), Fit("drain", 19.0), Fit("elementwise", 40.0)]
    assert chosen(fits, 76.8) == fits[2]
    assert chosen(fits[:1], 76.8) is None
    assert chosen([], 76.8) is None
