"""Tables and page of the study, on simulations of a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from reports.runs import Run, load_runs
from reports.sat_study.cases import DENSE, HEADLINE, Case, cases_of
from reports.sat_study.page import Findings, write_page
from reports.sat_study.settings import ABLATIONS, FUSIONS, SHIPPED, Setting, fitted_grid
from reports.sat_study.simulation import Done, _extract, _simulate, run_path, trace_path
from reports.sat_study.tables import (
    PARTS,
    STEP,
    ablation_table,
    headline_pairs,
    part_cycles,
    part_table,
    schedule_table,
    variant_table,
)
from tests.reports.sat_study.small_network import SOURCE

BATCH = 2
Runs = dict[tuple[Case, Setting], Run]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "traces").mkdir()
    return folder


@pytest.fixture(scope="module")
def extracted(folder: Path) -> dict[Case, Done]:
    cases = [case for case in cases_of([SOURCE], BATCH) if case.method in ("dense", "bdwp")]
    return {case: _extract(folder, case) for case in cases}


@pytest.fixture(scope="module")
def runs(folder: Path, extracted: dict[Case, Done]) -> Runs:
    tasks = [(case, SHIPPED) for case, done in extracted.items() if not done.refused]
    tasks += [
        (Case(SOURCE, *variant, BATCH), setting)
        for variant in (DENSE, HEADLINE)
        for setting in ABLATIONS
    ]
    for case, setting in tasks:
        assert not _simulate(folder, case, setting).refused
    return dict(zip(tasks, load_runs([run_path(folder, *task) for task in tasks]), strict=True))


def test_a_pattern_that_fits_no_layer_is_refused_with_the_reason(
    extracted: dict[Case, Done],
) -> None:
    refused = {case.prune: done.refused for case, done in extracted.items() if done.refused}
    assert set(refused) == {"nm:2:16"}
    assert "fewer than the group of 16" in refused["nm:2:16"]


def test_what_is_there_is_kept(folder: Path, runs: Runs) -> None:
    case, setting = next(iter(runs))
    before = trace_path(folder, case).stat().st_mtime_ns
    assert _extract(folder, case).reused
    assert trace_path(folder, case).stat().st_mtime_ns == before
    assert _simulate(folder, case, setting).reused


def test_a_result_of_another_trace_is_not_kept(folder: Path, runs: Runs, tmp_path: Path) -> None:
    dense, sparse = (Case(SOURCE, *variant, BATCH) for variant in (DENSE, HEADLINE))
    (tmp_path / "traces").mkdir()
    trace_path(tmp_path, dense).write_bytes(trace_path(folder, sparse).read_bytes())
    run_path(tmp_path, dense, SHIPPED).parent.mkdir(parents=True)
    run_path(folder, dense, SHIPPED).rename(run_path(tmp_path, dense, SHIPPED))
    assert not _simulate(tmp_path, dense, SHIPPED).reused
    run_path(tmp_path, dense, SHIPPED).rename(run_path(folder, dense, SHIPPED))
    assert not _simulate(folder, dense, SHIPPED).reused
    assert len(runs)


def test_variants_are_compared_with_dense(runs: Runs) -> None:
    table = variant_table(runs, BATCH).set_index("variant")
    dense = table.loc["dense"]
    assert dense["speedup"] == dense["operation_bound"] == dense["energy_saving"] == 1.0
    for variant, row in table.iterrows():
        assert row["speedup"] == pytest.approx(dense["seconds"] / row["seconds"]), variant
        assert row["operation_reduction"] == pytest.approx(1 - 1 / row["operation_bound"])
    assert table["operation_bound"]["BDWP 2:8"] > table["operation_bound"]["BDWP 2:4"] > 1


def test_parts_hold_every_operator_once(runs: Runs) -> None:
    run = runs[Case(SOURCE, *HEADLINE, BATCH), SHIPPED]
    beside = run.operators["operator"].str.contains("@")
    assert part_cycles(run).sum() == run.operators["cycles"][~beside].sum()
    table = part_table(headline_pairs(runs, [SOURCE], BATCH)).set_index("part")
    assert list(table.index) == [*PARTS, STEP]
    assert table["speedup"]["WU"] == pytest.approx(1.0)
    assert table["speedup"]["FF"] > 1


def test_an_ablation_is_measured_against_the_shipped_machine(runs: Runs) -> None:
    table = ablation_table(runs, [SOURCE], BATCH, ABLATIONS)
    assert len(table) == len(ABLATIONS)
    case = Case(SOURCE, *HEADLINE, BATCH)
    for setting, row in zip(ABLATIONS, table.to_dict("records"), strict=True):
        shipped, changed = (runs[case, one].summary.seconds for one in (SHIPPED, setting))
        assert row["sparse_loss"] == pytest.approx(changed / shipped - 1)
    losses = table.set_index("group")["sparse_loss"]
    assert losses["interleave mapping"] > 0


def test_regret_is_against_the_better_dataflow(runs: Runs) -> None:
    fixed = [setting for setting in ABLATIONS if "dataflow" in setting.overrides]
    table = schedule_table(runs, [SOURCE], BATCH, fixed)
    assert set(table["chosen"]) <= {"ws", "os"}
    assert (table["regret"] >= 0).all()
    assert (table["best_cycles"] <= table[["ws_cycles", "os_cycles"]].min(axis=1)).all()
    assert len(table) == len(runs[Case(SOURCE, *HEADLINE, BATCH), SHIPPED].macs)


def speedups(settings: list[Setting], value: Callable[[Setting], float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "group": setting.group,
                "label": setting.label,
                "setting": setting.name,
                "network": SOURCE,
                "batch": BATCH,
                "dense_seconds": value(setting),
                "seconds": 1.0,
                "speedup": value(setting),
            }
            for setting in settings
        ]
    )


def test_the_page_without_a_fit(tmp_path: Path, runs: Runs) -> None:
    varied = [Setting("vector lanes", "8", {"vector_lanes": 8})]
    findings = Findings(
        networks=(SOURCE,),
        batch=BATCH,
        other_batches=(),
        runs=runs,
        sensitivity=speedups(varied, lambda _: 1.76),
        grid=speedups(fitted_grid(), lambda one: 1.1 + FUSIONS.index(one.overrides["fusion"])),
        fitted=speedups([], lambda _: 0.0),
        fits=(),
        shipped_gigabytes=76.8,
        published=1.75,
        refused={"small-bdwp-2-16": "too few channels"},
        stages=(),
    )
    page = write_page(findings, tmp_path / "page")
    text = page.read_text()
    assert "does not identify the unpublished parameters: 1 of the 1 settings" in text
    assert "no fit" in text
    assert "Left out: small-bdwp-2-16: too few channels." in text
    figures = {path.stem for path in (tmp_path / "page" / "figures").glob("*.png")}
    assert figures == {"variants", "parts", "ablation", "prediction", "sensitivity", "fitted"}
    assert (tmp_path / "page" / "data" / "schedule.csv").is_file()
