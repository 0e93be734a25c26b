"""Reading, checking, labelling and pairing of result folders."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from reports.runs import grouped, load_run, load_runs, pair_up
from sparsesim.errors import InputError
from sparsesim.results import OperatorResult
from tests.reports.synthetic_runs import operator, run_result, stored


def gemm(busy: int = 100, macs: int = 1000, kept: int = 1000) -> OperatorResult:
    return operator("a", "a", "FF", busy=busy, macs_dense=macs, macs_effective=kept)


def make(path: Path, **facts: object) -> Path:
    return stored(run_result([gemm()], **facts), path)  # type: ignore[arg-type]


def test_totals_of_a_run(tmp_path: Path) -> None:
    run = load_run(
        stored(run_result([gemm(kept=250)], prune="nm:2:8", method="bdwp"), tmp_path / "r")
    )
    assert run.utilisation == 250 / (1024 * 100)
    assert run.operation_bound == 4.0
    assert not run.is_dense


def test_baseline_is_same_network_phase_batch_and_machine(tmp_path: Path) -> None:
    facts = {"prune": "nm:2:8", "method": "bdwp"}
    sparse = make(tmp_path / "sparse", **facts)
    others = [
        make(tmp_path / "network", source="other"),
        make(tmp_path / "phase", phase="inference"),
        make(tmp_path / "batch", batch=32),
        make(tmp_path / "machine", machine="sat2"),
        make(tmp_path / "setting", parameters={"rows": 64}),
    ]
    for other in others:
        pairs, unpaired = pair_up(load_runs([sparse, other]))
        assert not pairs
        assert list(unpaired) == ["net BDWP 2:8"], other.name
    pairs, unpaired = pair_up(load_runs([sparse, *others, make(tmp_path / "dense")]))
    assert [pair.dense.path.name for pair in pairs] == ["dense"]
    assert not unpaired


def test_reasons_why_there_is_no_baseline(tmp_path: Path) -> None:
    sparse = make(tmp_path / "sparse", prune="nm:2:8", method="bdwp")
    setting = make(tmp_path / "setting", parameters={"rows": 64})
    batch = make(tmp_path / "batch", batch=32)
    assert "no dense run" in pair_up(load_runs([sparse]))[1]["net BDWP 2:8"]
    assert "another machine or setting" in pair_up(load_runs([sparse, setting]))[1]["net BDWP 2:8"]
    assert "another phase or batch" in pair_up(load_runs([sparse, batch]))[1]["net BDWP 2:8"]


def test_labels_tell_runs_apart(tmp_path: Path) -> None:
    runs = load_runs(
        [
            make(tmp_path / "one"),
            make(tmp_path / "two"),
            make(tmp_path / "three", parameters={"rows": 64}),
            make(tmp_path / "four", prune="unstructured:0.9", method="srste"),
            make(tmp_path / "five", source="pkg.zoo:build", machine="s4"),
        ]
    )
    assert [run.label for run in runs] == [
        "net dense, one",
        "net dense, two",
        "net dense, rows=64",
        "net SR-STE 90 % pruned",
        "build dense",
    ]


def test_groups_put_the_dense_run_first(tmp_path: Path) -> None:
    runs = load_runs(
        [
            make(tmp_path / "s", prune="nm:2:8", method="bdwp"),
            make(tmp_path / "o", source="b"),
            make(tmp_path / "d"),
        ]
    )
    names = [[run.label for run in group] for group in grouped(runs)]
    assert names == [["net dense", "net BDWP 2:8"], ["b dense"]]


def test_a_folder_given_twice_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "r")
    with pytest.raises(InputError, match="given twice"):
        load_runs([folder, tmp_path / "." / "r"])


def rewrite(folder: Path, **changes: object) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | changes))


def test_damaged_summary(tmp_path: Path) -> None:
    folder = make(tmp_path / "r")
    rewrite(folder, seconds=0.0)
    with pytest.raises(InputError, match=r"summary\.json: seconds: .*greater than 0"):
        load_run(folder)
    (folder / "summary.json").write_text('{"schema_version": 1')
    with pytest.raises(InputError, match="damaged result folder"):
        load_run(folder)


def test_summary_that_does_not_match_its_operators(tmp_path: Path) -> None:
    folder = make(tmp_path / "r")
    rewrite(folder, macs_dense=1001)
    with pytest.raises(InputError, match=r"macs_dense adds up to 1000, summary\.json says 1001"):
        load_run(folder)


def test_engine_that_does_not_add_up(tmp_path: Path) -> None:
    folder = make(tmp_path / "r")
    rewrite(folder, engines={"array": {"busy_cycles": 60, "stall_cycles": {"idle": 39}}})
    with pytest.raises(InputError, match=r"engine 'array': .* add up to 99, total_cycles is 100"):
        load_run(folder)


def test_damaged_operator_table(tmp_path: Path) -> None:
    folder = make(tmp_path / "r")
    table = pd.read_csv(folder / "operators.csv")
    for change, message in (
        (table.drop(columns="stall_memory_cycles"), "column 'stall_memory_cycles' is missing"),
        (table.assign(cycles="many"), "column 'cycles' must hold numbers"),
        (table.assign(busy_cycles=99), "operator 'a': busy and stall cycles do not add up"),
    ):
        change.to_csv(folder / "operators.csv", index=False)
        with pytest.raises(InputError, match=message):
            load_run(folder)


def test_a_later_summary_with_more_keys_is_read(tmp_path: Path) -> None:
    folder = make(tmp_path / "r")
    rewrite(folder, something_new={"a": 1})
    assert load_run(folder).summary.total_cycles == 100
