"""The study from capture to folder, and its figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reports.figures.board_power import draw_board_power
from reports.figures.limit_stack import draw_limit_stack
from reports.figures.style import house_style
from reports.s4_study.cases import SPARSITIES
from reports.s4_study.simulation import LIMITS
from tests.reports.clipping import clipped_texts


def hand_made() -> pd.DataFrame:
    rows = []
    for size, network in enumerate(("small", "middle", "large"), 1):
        for machine, prune, sparsity in (
            *(("s4", f"balanced:{sparsity}", sparsity) for sparsity in SPARSITIES),
            ("t4", "none", 1), ("a100", "none", 1), ("a100", "nm:2:4", 2),
        ):  # fmt: skip
            rows.append(
                {
                    "network": network, "family": "nets", "limits": size < 3, "batch": 1,
                    "parameters": 10**size, "machine": machine, "prune": prune,
                    "sparsity": sparsity, "total_cycles": 100 * len(LIMITS),
                    "samples_per_second": 1e5 * sparsity / 10**size,
                    "energy_mj_per_sample": 1.0 / sparsity,
                    "board_watts": 300.0 if machine == "a100" else 70.0,
                }
                | {f"{limit}_cycles": 100 for limit in LIMITS}
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_rates_are_scaled_to_equal_power() -> None:
    with house_style():
        plate = draw_board_power(hand_made(), 70.0)
    assert not clipped_texts(plate)
    scaled = plate.data.set_index(["network", "machine", "prune"])
    scaled = scaled["samples_per_second_at_equal_power"]
    assert scaled["large", "a100", "nm:2:4"] == pytest.approx(200.0 * 70 / 300)
    assert scaled["large", "s4", "balanced:1"] == pytest.approx(100.0)


def test_limits_are_drawn_as_shares_of_the_run() -> None:
    table = hand_made()
    s4 = table[(table["machine"] == "s4") & table["limits"]]
    with house_style():
        plate = draw_limit_stack(s4, LIMITS)
    assert not clipped_texts(plate)
    tops = [
        patch.get_y() + patch.get_height()
        for patch in plate.figure.axes[4].patches
        if patch.get_width() < 1
    ]
    assert max(tops) == pytest.approx(100.0)


@pytest.mark.slow
def test_the_whole_study_of_a_small_network(tmp_path: Path) -> None:
    from reports.s4_study.cases import Case
    from reports.s4_study.study import study
    from sparsesim.errors import InputError
    from tests.reports.s4_study.small_network import SOURCE

    cases = [Case(SOURCE, batch, f"small {batch}", "tiny") for batch in (4, 8)]
    table = study(tmp_path / "s", cases=cases, jobs=2)
    assert list(dict.fromkeys(table["network"])) == ["small 4", "small 8"]
    page = (tmp_path / "s" / "study.md").read_text()
    assert "31,679" in page
    assert "| small 8 |" in page
    stored = pd.read_csv(tmp_path / "s" / "results.csv")
    assert stored["total_cycles"].tolist() == table["total_cycles"].tolist()
    assert (tmp_path / "s" / "figures" / "s4-limits.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="exists"):
        study(tmp_path / "s", cases=cases)
