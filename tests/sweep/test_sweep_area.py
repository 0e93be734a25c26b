"""A sweep over synthesized designs: area columns, the clock that synthesis allows, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from sparsesim.area import parts_of, read_table
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.sweep import sweep
from tests.sweep import fake_simulators as fake

#: LUT, FF, DSP, Fmax in MHz of each unit of the test's table
UNITS = {
    "uspe": (1000, 500, 1, 50.0),
    "stce_west": (100, 50, 0, 90.0),
    "stce_north": (20, 10, 0, 95.0),
    "stce_south": (700, 300, 0, 40.0),
    "stce_control": (300, 200, 0, 80.0),
    "wuve": (5000, 2000, 12, 45.0),
    "sore": (400, 90, 0, 100.0),
}


def write_table(path: Path, targets: tuple[str, ...] = ("ecp5",), without: str = "") -> None:
    entries = [
        {
            "unit": part.unit, "parameters": part.parameters, "target": target,
            "lut": UNITS[part.unit][0], "ff": UNITS[part.unit][1], "dsp": UNITS[part.unit][2],
            "bram": 0, "fmax_hz": UNITS[part.unit][3] * 1e6 if target == "ecp5" else None,
            "seeds": int(target == "ecp5"),
        }
        for part in parts_of(load_machine("sat")) if part.unit != without
        for target in targets
    ]  # fmt: skip
    content = {"tools": {}, "devices": {}, "units": entries}
    path.write_text(yaml.safe_dump(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fake.save_trace(tmp_path / "net.trace")
    write_table(tmp_path / "table.yaml", ("ecp5", "xcup"))
    return tmp_path


def run(folder: Path, area: dict[str, Any], **swept: Any) -> pd.DataFrame:
    content = {
        "machine": "sat",
        "set": {"rows": [8, 32], **swept},
        "trace": {"files": "net.trace"},
        "area": {"table": "table.yaml", **area},
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(content))
    outcome = sweep(folder / "space.yaml", folder / "out", jobs=1, simulate=fake.simulate)
    return pd.read_csv(outcome.csv)


def test_a_design_is_the_sum_of_its_units(folder: Path) -> None:
    table = run(folder, {}, cols=[16])
    # 32 sorter lanes and 32 update lanes, as the machine has
    for rows, lut, ff, dsp in zip(
        table["rows"], table["lut"], table["ff"], table["dsp"], strict=True
    ):
        assert lut == rows * 16 * 1000 + rows * 100 + 16 * 720 + 300 + 32 * 5400
        assert ff == rows * 16 * 500 + rows * 50 + 16 * 310 + 200 + 32 * 2090
        assert dsp == rows * 16 + 32 * 12
    assert list(table["clock_hz_max"]) == [40e6, 40e6]
    assert list(table["clock_hz"]) == [200e6, 200e6]
    assert list(table.columns[-4:]) == ["lut", "ff", "dsp", "clock_hz_max"]


def test_the_synthesized_clock_can_be_the_clock_of_the_run(folder: Path) -> None:
    table = run(folder, {"clock": "fmax"})
    assert list(table["clock_hz"]) == [40e6, 40e6]
    assert table["seconds"].to_numpy() == pytest.approx(table["total_cycles"].to_numpy() / 40e6)


def test_area_does_not_change_which_point_it_is(folder: Path) -> None:
    with_area = run(folder, {})
    (folder / "out/sweep.csv").unlink()
    content = yaml.safe_load((folder / "space.yaml").read_text())
    del content["area"]
    (folder / "space.yaml").write_text(yaml.safe_dump(content))
    again = sweep(folder / "space.yaml", folder / "out", resume=True, simulate=fake.simulate)
    assert (again.reused, again.computed) == (2, 0)
    table = pd.read_csv(again.csv)
    assert list(table["point_id"]) == list(with_area["point_id"])
    assert "lut" not in table


def test_without_a_router_there_is_area_but_no_clock(folder: Path) -> None:
    table = run(folder, {"target": "xcup"})
    assert table["clock_hz_max"].isna().all()
    assert (table["lut"] > 0).all()


@pytest.mark.parametrize(
    ("area", "swept", "message"),
    [
        ({}, {"m_max": [16]}, r"table.yaml: no synthesized uspe\(.*m_max=16.*hw.area_table SPACE"),
        ({"clock": "fmax", "target": "xcup"}, {}, "area.clock: xcup has no Fmax"),
        ({"clock": "fmax"}, {"clock_hz": [1e8]}, "fmax sets clock_hz, which is swept"),
        ({"target": "asic"}, {}, "area.target"),
        ({"table": "none.yaml"}, {}, "none.yaml: cannot be read"),
    ],
)
def test_refusals(folder: Path, area: Any, swept: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(folder, area, **swept)
    assert not (folder / "out").exists()


def test_a_missing_unit_is_named(tmp_path: Path) -> None:
    write_table(tmp_path / "table.yaml", without="stce_south")
    with pytest.raises(InputError, match=r"no synthesized stce_south\(add_latency=4\) on ecp5"):
        read_table(tmp_path / "table.yaml").of(load_machine("sat"), "ecp5")


def test_families_without_a_whole_design_in_rtl_are_refused() -> None:
    with pytest.raises(InputError, match=r"family 'piuma' has no synthesized design .*: sat"):
        parts_of(load_machine("piuma"))


def test_the_shipped_table_has_the_shipped_machine() -> None:
    design = read_table().of(load_machine("sat"), "ecp5")
    assert design["lut"] > 1024 * 1000
    assert design["dsp"] >= 1024
    assert 20e6 < design["clock_hz_max"] < 200e6
