"""Sweep folders: reading, the front, and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.figures.pareto import colour_column, draw_pareto, draw_sensitivity
from reports.figures.style import house_style
from reports.sweeps import is_sweep_folder, load_sweep
from reports.tables import front_table
from sparsesim.errors import InputError
from tests.reports.clipping import clipped_texts
from tests.reports.synthetic_sweeps import point, sweep_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sweep_folder(
        tmp_path / "sweep",
        [
            point(1.0, 5.0, rows=64),
            point(2.0, 3.0, rows=32),
            point(2.0, 4.0, rows=16),
            point(4.0, 1.0, rows=8),
            point(None, None, rows=0),
            point(9.0, 9.0, rows=8, trace_name="other"),
        ],
    )


def test_front_is_taken_per_network_among_done_points(folder: Path) -> None:
    sweep = load_sweep(folder)
    assert sweep.table["on_front"].tolist() == [True, True, False, True, False, True]
    assert sweep.failed == 1
    assert len(sweep.done) == 5


def test_a_smaller_array_is_not_dominated_by_a_larger_one_that_wins_otherwise(
    tmp_path: Path,
) -> None:
    rows = [
        point(1.0, 1.0, pes=4096, rows=64),
        point(2.0, 2.0, pes=1024, rows=32),
        point(3.0, 2.0, pes=1024, rows=16),  # slower than the one above, no smaller
        point(2.0, 3.0, pes=2048, rows=48),  # larger than the second, no better
        point(9.0, 9.0, pes=64, rows=8),
        point(None, None, rows=0),
    ]
    sweep = load_sweep(sweep_folder(tmp_path / "s", rows))
    assert sweep.table["on_front"].tolist() == [True, True, False, False, True, False]


def test_only_outlined_points_of_equal_size_are_joined(tmp_path: Path) -> None:
    rows = [
        point(1.0, 4.0, pes=4096, rows=1),
        point(2.0, 3.0, pes=4096, rows=2),
        point(3.0, 9.0, pes=4096, rows=3),
        point(5.0, 6.0, pes=64, rows=4),
        point(4.0, 7.0, pes=64, rows=5),
    ]
    with house_style():
        plate = draw_pareto(load_sweep(sweep_folder(tmp_path / "s", rows)))
    axes = plate.figure.axes[0]
    lines = [[tuple(xy) for xy in np.asarray(line.get_xydata()).tolist()] for line in axes.lines]
    assert lines == [[(4.0, 7.0), (5.0, 6.0)], [(1.0, 4.0), (2.0, 3.0)]]
    opacity: dict[float, int] = {}
    for points in axes.collections:
        alpha = points.get_alpha()
        assert alpha is not None
        opacity[alpha] = opacity.get(alpha, 0) + len(np.asarray(points.get_offsets()))
    assert opacity[1.0] == 4
    assert sum(count for alpha, count in opacity.items() if alpha < 0.5) == 1


def test_parameters_are_what_was_varied(folder: Path) -> None:
    sweep = load_sweep(folder)
    assert sweep.parameters == ("rows",)
    assert sweep.numeric_parameters == ("rows",)
    assert colour_column(sweep) == "rows"


def test_columns_right_of_the_point_are_no_parameters(folder: Path) -> None:
    table = pd.read_csv(folder / "sweep.csv")
    table.assign(host_seconds=range(len(table))).to_csv(folder / "sweep.csv", index=False)
    assert load_sweep(folder).parameters == ("rows",)


def test_a_swept_result_column_is_a_parameter(tmp_path: Path) -> None:
    folder = sweep_folder(tmp_path / "s", [point(2.0 / i, 1.0, clock_hz=i * 1e8) for i in (1, 2)])
    table = pd.read_csv(folder / "sweep.csv")
    table.insert(0, "clock_hz", table.pop("clock_hz"))
    table.to_csv(folder / "sweep.csv", index=False)
    assert load_sweep(folder).parameters == ("clock_hz",)


def test_other_batches_are_other_work(tmp_path: Path) -> None:
    rows = [
        point(1.0 * batch, 1.0 * batch, machine="sat", trace_batch=batch, rows=64)
        for batch in (1, 8)
    ]
    sweep = load_sweep(sweep_folder(tmp_path / "s", rows))
    assert sweep.table["on_front"].tolist() == [True, True]
    assert sweep.table["work"].tolist() == ["net, batch 1", "net, batch 8"]
    assert sweep.parameters == ("trace_batch",)


def test_colour_is_pes_where_they_vary_else_the_most_varied(tmp_path: Path) -> None:
    rows = [
        point(1.0 + i, 5.0 - i, pes=2**i, rows=i % 2, dataflow=("ws", "os", "auto")[i % 3])
        for i in range(5)
    ]
    assert colour_column(load_sweep(sweep_folder(tmp_path / "a", rows))) == "pes"
    rows = [row | {"pes": 64} for row in rows]
    assert colour_column(load_sweep(sweep_folder(tmp_path / "b", rows))) == "dataflow"


def test_pareto_plate_holds_every_point_and_counts_the_failed(folder: Path) -> None:
    with house_style():
        plate = draw_pareto(load_sweep(folder))
        assert clipped_texts(plate) == []
    assert len(plate.data) == 6
    assert "1 of 6 design points failed" in plate.caption
    assert "three objectives time, energy and number of PEs, which stands for area" in plate.caption


def test_words_as_parameter(tmp_path: Path) -> None:
    rows = [point(1.0 + i, 2.0 - i, dataflow=flow) for i, flow in enumerate(("none", "os"))]
    sweep = load_sweep(sweep_folder(tmp_path / "s", rows))
    assert sweep.table["dataflow"].tolist() == ["none", "os"]
    assert sweep.numeric_parameters == ()
    with house_style():
        assert draw_pareto(sweep).data["on_front"].all()
        with pytest.raises(ValueError, match="a numeric one"):
            draw_sensitivity(sweep)


def test_sensitivity_has_the_swept_values_in_order(folder: Path) -> None:
    with house_style():
        plate = draw_sensitivity(load_sweep(folder))
        assert clipped_texts(plate) == []
    net = plate.data[plate.data["trace_name"] == "net"]
    assert net["rows"].tolist() == [8, 16, 32, 64]
    assert net["seconds"].tolist() == [4.0, 2.0, 2.0, 1.0]


def test_not_a_sweep_without_its_store(folder: Path) -> None:
    assert is_sweep_folder(folder)
    (folder / "sweep.sqlite").unlink()
    assert not is_sweep_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="energy_j"), "column 'energy_j' is missing"),
        (lambda table: table[:0], "holds no design points"),
        (lambda table: table.assign(status="lost"), "status must be done or failed"),
        (lambda table: table.assign(seconds="soon"), "'seconds': a done point has no number"),
    ],
)
def test_damaged_sweep(folder: Path, change: Any, message: str) -> None:
    change(pd.read_csv(folder / "sweep.csv")).to_csv(folder / "sweep.csv", index=False)
    with pytest.raises(InputError, match=message):
        load_sweep(folder)


def test_empty_table_file(folder: Path) -> None:
    (folder / "sweep.csv").write_text("")
    with pytest.raises(InputError, match="damaged table"):
        load_sweep(folder)


def test_a_sweep_over_synthesized_designs_has_its_front_in_time_and_luts(tmp_path: Path) -> None:
    rows = [
        point(1.0, 9.0, rows=1, lut=4000, dsp=4),
        point(2.0, 1.0, rows=2, lut=5000, dsp=2),  # least energy, but slower and larger
        point(3.0, 8.0, rows=3, lut=1000, dsp=1),
        point(None, None, rows=4, lut=10, dsp=0),
    ]
    folder = sweep_folder(tmp_path / "s", rows)
    table = pd.read_csv(folder / "sweep.csv")
    for column in ("lut", "dsp"):  # right of the point, as in a real sweep
        table.insert(len(table.columns) - 1, column, table.pop(column))
    table.to_csv(folder / "sweep.csv", index=False)
    sweep = load_sweep(folder)
    assert sweep.table["on_front"].tolist() == [True, False, True, False]
    assert sweep.parameters == ("rows",)
    with house_style():
        plate = draw_pareto(sweep)
        assert clipped_texts(plate) == []
    axes = plate.figure.axes[0]
    (line,) = axes.lines
    assert np.asarray(line.get_xydata()).tolist() == [[1.0, 4.0], [3.0, 1.0]]
    assert axes.get_ylabel() == "LUTs (k)"
    shown = front_table(sweep)
    assert [row[-2:] for row in shown.rows] == [["4,000", "4"], ["1,000", "1"]]
    assert "time and LUTs (synthesized units" in (shown.note or "")
