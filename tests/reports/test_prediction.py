"""The figure of predicted and simulated cycles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reports.figures.prediction import draw_prediction, error_table, prediction_table
from reports.figures.style import house_style
from reports.runs import Run, load_run
from sparsesim.results import OperatorResult
from tests.reports.clipping import clipped_texts, undrawn_tick_labels
from tests.reports.synthetic_runs import operator, run_result, stored


def run_of(operators: list[OperatorResult], folder: Path) -> Run:
    return load_run(stored(run_result(operators), folder))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    gemms = [
        replace(operator(f"g{i}", "l", "FF", start=1000 * i, busy=1000), predicted_cycles=predicted)
        for i, predicted in enumerate((1000, 800, 500, 2000))
    ]
    other = operator("relu", "l", "FF", kind="elementwise", engine="vector", start=4000, busy=100)
    beside = replace(other, operator="g0@vector", start_cycle=4100, end_cycle=4200)
    return run_of([*gemms, other, beside], tmp_path / "r")


def test_errors_are_relative_to_the_prediction(run: Run) -> None:
    table = prediction_table([run]).set_index("operator")
    assert list(table["error"][["g0", "g1", "g2", "g3"]]) == pytest.approx([0, 0.25, 1.0, -0.5])
    assert "g0@vector" not in table.index
    errors = error_table(table.reset_index()).set_index("engine")
    assert errors["operators"].to_dict() == {"array": 4, "vector": 1}
    assert errors["median"]["array"] == pytest.approx(0.375)
    assert errors["largest"]["array"] == pytest.approx(1.0)
    assert errors["total"]["array"] == pytest.approx(4000 / 4300 - 1)


def test_the_figure_cuts_nothing_off(run: Run) -> None:
    with house_style():
        plate = draw_prediction([run])
        assert plate is not None
        assert not clipped_texts(plate)


def test_errors_of_a_few_percent_have_numbers_on_their_axis(tmp_path: Path) -> None:
    gemms = [
        replace(operator(f"g{i}", "l", "FF", start=1000 * i, busy=1000), predicted_cycles=predicted)
        for i, predicted in enumerate((1000, 990, 970))
    ]
    with house_style():
        plate = draw_prediction([run_of(gemms, tmp_path / "r")])
        assert plate is not None
        clipped_texts(plate)  # draws it
        undrawn = undrawn_tick_labels(plate)
        labels = [label for label in plate.figure.axes[0].get_yticklabels() if label.get_text()]
        assert len([label for label in labels if label not in undrawn]) > 2


def test_no_figure_without_a_schedule(tmp_path: Path) -> None:
    only = operator("relu", "relu", "FF", kind="elementwise", engine="vector", busy=7)
    assert draw_prediction([run_of([only], tmp_path / "r")]) is None
