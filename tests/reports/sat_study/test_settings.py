"""Cases and settings of the study."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.papers.published import read_papers
from reports.sat_study.cases import HEADLINE, NETWORKS, cases_of, headline_cases
from reports.sat_study.settings import (
    ABLATIONS,
    MACHINE,
    SHIPPED,
    Setting,
    dram,
    fitted_grid,
    one_at_a_time,
    write_machine,
)
from reports.sat_study.study import published_speedup
from sparsesim.machines.registry import load_machine
from workloads.catalog import catalog_names
from workloads.recipe import METHODS, parse_pruning


def test_cases_exist_and_have_names_of_their_own() -> None:
    cases = cases_of(NETWORKS, 32)
    assert len({case.name for case in cases}) == len(cases)
    assert set(NETWORKS) <= set(catalog_names())
    assert {case.method for case in cases} == set(METHODS)
    for case in cases:
        parse_pruning(case.prune)
    assert set(headline_cases(NETWORKS, 32)) <= set(cases)


def settings() -> list[Setting]:
    return [*ABLATIONS, *one_at_a_time(), *fitted_grid()]


def test_every_setting_is_a_machine_and_changes_something() -> None:
    shipped = load_machine(MACHINE)
    grid = {setting.name for setting in fitted_grid()}
    for setting in settings():
        changed = load_machine(MACHINE, dict(setting.overrides))
        same = changed.sha256() == shipped.sha256()
        assert not same or setting.name in grid, setting
    assert load_machine(MACHINE, dict(SHIPPED.overrides)).sha256() == shipped.sha256()


def test_names_of_settings_are_unique() -> None:
    for group in (ABLATIONS, one_at_a_time(), fitted_grid()):
        assert len({setting.name for setting in group}) == len(group)


def test_the_grid_holds_the_shipped_machine() -> None:
    shipped = load_machine(MACHINE).sha256()
    grid = [load_machine(MACHINE, dict(setting.overrides)).sha256() for setting in fitted_grid()]
    assert grid.count(shipped) == 1
    assert len(set(grid)) == len(grid)


@pytest.mark.parametrize(
    ("gigabytes", "channels"), [(9.6, 1), (19.2, 1), (38.4, 2), (76.8, 4), (153.6, 8)]
)
def test_channels_follow_the_bandwidth(gigabytes: float, channels: int) -> None:
    assert dram(gigabytes)["dram_channels"] == channels


def test_a_machine_file_is_the_overrides(tmp_path: Path) -> None:
    for setting in settings():
        file = write_machine(setting, tmp_path)
        machine = load_machine(str(file))
        assert machine.name == setting.name
        assert machine.sha256() == load_machine(MACHINE, dict(setting.overrides)).sha256()


def test_the_headline_is_the_published_one() -> None:
    (paper,) = (paper for paper in read_papers() if paper.family == MACHINE)
    assert published_speedup() in {entry.value for entry in paper.speedups}
    assert all((entry.method, entry.prune) == HEADLINE for entry in paper.operation_reductions)
    assert all("second-hand" in entry.source for entry in paper.operation_reductions)
