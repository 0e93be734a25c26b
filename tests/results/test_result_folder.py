"""A result folder holds what was written, and reads back as it was."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from sparsesim.errors import InputError
from sparsesim.results import (
    BYTE_STREAMS,
    ENERGY_COMPONENTS,
    STALL_CAUSES,
    RunResult,
    is_result_folder,
    read_folder,
    write_folder,
)
from tests.reports.synthetic_runs import operator, resnet9, run_result, training_run

CONTRACT = [
    "schema_version", "machine", "trace", "fidelity", "seed", "clock_hz", "total_cycles",
    "seconds", "energy_j", "macs_dense", "macs_effective", "dram_bytes", "engines",
]  # fmt: skip


@pytest.fixture(scope="module")
def result() -> RunResult:
    return training_run("resnet9", resnet9(2), keep=(2, 8))


def test_round_trip(result: RunResult, tmp_path: Path) -> None:
    write_folder(result, tmp_path / "out")
    stored = read_folder(tmp_path / "out")
    assert stored.summary == json.loads(json.dumps(result.summary()))
    assert len(stored.operators) == len(result.operators)
    for row, op in zip(stored.operators.to_dict("records"), result.operators, strict=True):
        assert (row["operator"], row["pattern"]) == (op.operator, op.pattern)
        assert row["cycles"] == op.cycles == row["end_cycle"] - row["start_cycle"]
        for cause in STALL_CAUSES:
            assert row[f"stall_{cause}_cycles"] == op.stall_cycles[cause]
        for stream in BYTE_STREAMS:
            assert row[f"{stream}_bytes"] == op.bytes[stream]
        for part in ENERGY_COMPONENTS:
            assert row[f"energy_{part}_pj"] == op.energy_pj[part]


def test_the_summary_is_the_contract(result: RunResult) -> None:
    summary = result.summary()
    assert list(summary) == CONTRACT
    assert summary["seconds"] == result.total_cycles / result.clock_hz
    table = result.operators
    assert summary["macs_effective"] == sum(op.macs_effective for op in table)
    assert summary["dram_bytes"] == sum(
        op.bytes[stream] for op in table for stream in BYTE_STREAMS if stream.startswith("dram_")
    )
    assert summary["energy_j"] == pytest.approx(
        sum(sum(op.energy_pj.values()) for op in table) * 1e-12
    )
    for engine in summary["engines"].values():
        assert list(engine["stall_cycles"]) == list(STALL_CAUSES)
        assert engine["busy_cycles"] + sum(engine["stall_cycles"].values()) == result.total_cycles


def test_the_same_result_gives_the_same_bytes(result: RunResult, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folder(result, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_timeline_can_be_loaded(result: RunResult, tmp_path: Path) -> None:
    """As chrome://tracing and Perfetto do: tracks with names, complete events inside the run."""
    write_folder(result, tmp_path / "out")
    content = json.loads(gzip.decompress((tmp_path / "out" / "timeline.json.gz").read_bytes()))
    events = content["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert set(tracks.values()) == set(result.engines)
    spans = [e for e in events if e["ph"] == "X"]
    assert len(spans) == len(result.operators)
    for span, op in zip(spans, result.operators, strict=True):
        assert (span["name"], tracks[span["tid"]]) == (op.operator, op.engine)
        assert (span["ts"], span["dur"]) == (op.start_cycle, op.cycles)
        assert 0 <= span["ts"] <= span["ts"] + span["dur"] <= result.total_cycles
        parts = [value for key, value in span["args"].items() if key.startswith("stall_")]
        assert span["args"]["busy_cycles"] + sum(parts) == span["dur"]


def test_names_that_look_like_missing_values(tmp_path: Path) -> None:
    result = run_result(
        [operator("NA", "nan", "FF", busy=1), operator("a,b", '"', "FF", start=1, busy=1)]
    )
    write_folder(result, tmp_path / "out")
    assert list(read_folder(tmp_path / "out").operators["operator"]) == ["NA", "a,b"]
    assert list(read_folder(tmp_path / "out").operators["layer"]) == ["nan", '"']


def test_a_check_is_stored_beside_the_summary(result: RunResult, tmp_path: Path) -> None:
    write_folder(replace(result, check={"compared": 3}), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "check.json").read_text()) == {"compared": 3}
    assert read_folder(tmp_path / "out").check == {"compared": 3}


def test_a_run_that_was_not_checked_has_no_check(result: RunResult, tmp_path: Path) -> None:
    write_folder(result, tmp_path / "out")
    assert not (tmp_path / "out" / "check.json").exists()
    assert read_folder(tmp_path / "out").check is None


def test_an_earlier_folder_is_replaced_only_when_told_to(result: RunResult, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_folder(result, out)
    before = (out / "summary.json").read_text()
    with pytest.raises(InputError, match="output folder exists"):
        write_folder(replace(result, seed=1), out)
    assert (out / "summary.json").read_text() == before
    write_folder(replace(result, seed=1), out, force=True)
    assert read_folder(out).summary["seed"] == 1


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("summary.json", None, "not a result folder"),
        ("operators.csv", None, "not a result folder"),
        ("summary.json", "{", "damaged result folder"),
        ("summary.json", "[]", "damaged result folder"),
        ("summary.json", "{}", "damaged result folder"),
        ("summary.json", '{"schema_version": 9}', r"schema_version: must be 1 \(got 9\)"),
        ("summary.json", "\xff", "damaged result folder"),
        ("operators.csv", "", "damaged result folder"),
        ("operators.csv", 'a,b\n"', "damaged result folder"),
        ("check.json", "{", "damaged result folder"),
        ("check.json", "[1]", r"check\.json: must be an object \(got list\)"),
    ],
)
def test_damaged_folders(
    result: RunResult, tmp_path: Path, name: str, content: str | None, match: str
) -> None:
    out = tmp_path / "out"
    write_folder(result, out)
    if content is None:
        (out / name).unlink()
    else:
        (out / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=match) as caught:
        read_folder(out)
    assert "\n" not in str(caught.value)


def test_what_is_no_folder(tmp_path: Path) -> None:
    assert not is_result_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="not a result folder"):
        read_folder(tmp_path / "absent")


def test_a_run_without_operators_has_a_table_with_columns() -> None:
    from sparsesim.results.tables import operator_table

    full = operator_table([operator("a", "a", "FF", busy=1)])
    assert isinstance(full, pd.DataFrame)
    assert not full.isna().any().any()
