"""The whole study of a small network, in worker processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.sat_study.settings import Setting
from reports.sat_study.study import study
from sparsesim.errors import InputError
from tests.reports.sat_study.small_network import SOURCE


@pytest.mark.slow
def test_a_study_is_continued(tmp_path: Path) -> None:
    settings = [Setting("vector lanes", "8", {"vector_lanes": 8})]
    seen: list[str] = []

    def run() -> tuple[Path, list[int]]:
        outcome = study(
            tmp_path / "s",
            networks=[SOURCE],
            batch=2,
            jobs=1,
            other_batches=(1,),
            settings=settings,
            progress=lambda activity, _done, _total: seen.append(activity),
        )
        assert outcome.report.is_file()
        return outcome.page, [len(stage.made) for stage in outcome.stages]

    page, made = run()
    assert made[0] > 8
    assert made[1] == made[0]
    assert "1.75" in page.read_text()
    assert {"extracting", "simulating", "sweeping sensitivity", "drawing"} <= set(seen)
    _, again = run()
    assert again == [0] * len(again)


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="not the folder of an earlier study"):
        study(tmp_path, networks=[SOURCE], batch=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_no_workers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--jobs"):
        study(tmp_path / "s", networks=[SOURCE], batch=2, jobs=0)
    assert not (tmp_path / "s").exists()
