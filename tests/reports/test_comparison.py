"""Runs side by side, each against the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.comparison import compare
from sparsesim.errors import InputError
from tests.reports.synthetic_runs import operator, run_result, stored


def make(folder: Path, busy: int = 100, **facts: Any) -> Path:
    gemm = operator(
        "a", "a", "FF", busy=busy, macs_dense=1000, macs_effective=1000,
        energy_pj={"multiply": 10.0 * busy},
    )  # fmt: skip
    return stored(run_result([gemm], **facts), folder)


def test_ratios_against_the_first(tmp_path: Path) -> None:
    first, second = (
        make(tmp_path / "a"),
        make(tmp_path / "b", busy=40, prune="nm:2:8", method="bdwp"),
    )
    table = compare([first, second])
    assert table["folder"].tolist() == [str(first), str(second)]
    assert (table["baseline"] == str(first)).all()
    assert table["speedup"].tolist() == pytest.approx([1.0, 2.5], rel=1e-12)
    assert table["energy_ratio"].tolist() == pytest.approx([1.0, 2.5])
    assert table["warning"].tolist() == ["", ""]


def test_one_changed_parameter_is_no_warning_two_are(tmp_path: Path) -> None:
    folders = [
        make(tmp_path / "a"),
        make(tmp_path / "b", parameters={"rows": 64}),
        make(tmp_path / "c", parameters={"rows": 64, "cols": 64}),
        make(tmp_path / "d", parameters={"rows": 64}, prune="nm:2:8", method="bdwp"),
    ]
    warnings = compare(folders)["warning"].tolist()
    assert warnings[:2] == ["", ""]
    assert warnings[2] == (
        "differs from the baseline in 2 respects (rows: 32 -> 64; cols: 32 -> 64)"
    )
    assert "pruning: dense -> BDWP 2:8; rows: 32 -> 64" in warnings[3]


@pytest.mark.parametrize("other", [{"source": "x"}, {"phase": "inference"}, {"batch": 1}])
def test_other_work_is_no_speedup(tmp_path: Path, other: dict[str, Any]) -> None:
    table = compare([make(tmp_path / "a"), make(tmp_path / "b", **other)])
    assert table["warning"][1].startswith("not the same network, phase and batch: no speedup")
    assert table[["speedup", "energy_ratio"]].loc[1].isna().all()


def test_a_run_without_energy_has_no_energy_ratio(tmp_path: Path) -> None:
    free = stored(run_result([operator("a", "a", "FF", busy=1)]), tmp_path / "free")
    table = compare([make(tmp_path / "a"), free])
    assert table["energy_ratio"].isna().tolist() == [False, True]


def test_no_folder_and_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one result folder"):
        compare([])
    with pytest.raises(InputError, match="not a result folder"):
        compare([tmp_path])
