"""With --json stdout is one JSON document; without it stdout is empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparsesim.machines.registry import load_machine, named_machines
from sparsesim.results import STALL_CAUSES
from sparsesim.trace import load
from tests.cli.command_line import PREFIX, call, done


def document(*arguments: object) -> Any:
    """The document on stdout of a call with --json; without it nothing is there."""
    return json.loads(done(*arguments, "--json").stdout)


@pytest.fixture
def result(trace: Path, tmp_path: Path) -> Path:
    done("run", trace, "--machine", "sat", "-o", tmp_path / "result")
    return tmp_path / "result"


def test_inspect(trace: Path) -> None:
    found = document("inspect", trace)
    summary = found.pop("summary")
    assert found == json.loads(load(trace).manifest_json())
    assert summary["sha256"] == load(trace).sha256()
    assert summary["operators"][0]["operands"]["b"]["density"] == 0.25
    shown = done("inspect", trace)
    assert shown.stdout == ""
    for text in ("by hand", "fc.FF", "4 x 3 x 16", "2:8@k", "0.25", "12 elements", "relu"):
        assert text in shown.stderr


def test_names_in_a_trace_are_not_markup(tmp_path: Path) -> None:
    from sparsesim.trace import Manifest, Trace, save
    from tests.trace.small_traces import gemm, manifest_of, small_trace

    manifest = manifest_of(name="[bold]x", operators=[gemm(name="[red]fc[/red]")])
    save(Trace(Manifest.model_validate(manifest), small_trace().bits), tmp_path / "a.trace")
    shown = done("inspect", tmp_path / "a.trace").stderr
    assert "[red]fc[/red]" in shown
    assert "[bold]x" in shown


def test_machines() -> None:
    assert [entry["name"] for entry in document("machines")["machines"]] == list(named_machines())
    machine = load_machine("sat")
    found = document("machines", "sat")
    assert found["sha256"] == machine.sha256()
    values = {key: row["value"] for key, row in found["parameters"].items()}
    assert values == machine.spec.model_dump(mode="json")
    for row in found["parameters"].values():
        assert set(row) == {"value", "status", "source", "description"}
        assert all(row[key] for key in ("status", "source", "description"))
    for arguments in (["machines"], ["machines", "sat"]):
        shown = done(*arguments)
        assert shown.stdout == ""
        assert "sat" in shown.stderr


def test_run(trace: Path, tmp_path: Path) -> None:
    arguments = ["run", trace, "--machine", "sat", "--set", "rows=8", "--set", "cols=8"]
    found = document(*arguments, "--seed", "3", "-o", tmp_path / "a")
    assert found == json.loads((tmp_path / "a" / "summary.json").read_text())
    assert found["machine"]["parameters"]["rows"] == 8
    assert found["machine"]["statuses"]["rows"] == "set by user"
    assert (found["seed"], found["fidelity"]) == (3, "fast")
    for engine in found["engines"].values():
        stalls = [engine["stall_cycles"][cause] for cause in STALL_CAUSES]
        assert engine["busy_cycles"] + sum(stalls) == found["total_cycles"]
    stepped = document(*arguments, "--fidelity", "stepped", "--check", "-o", tmp_path / "b")
    assert stepped["total_cycles"] == found["total_cycles"]
    assert stepped["engines"] == found["engines"]
    assert (tmp_path / "b" / "check.json").exists()
    shown = done(*arguments, "-o", tmp_path / "c")
    assert shown.stdout == ""
    assert f"{found['total_cycles']} cycles" in shown.stderr


def test_compare(result: Path, trace: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    done("run", trace, "--machine", "sat", "--set", "clock_hz=1e8", "-o", slow)
    first, second = document("compare", result, slow)["runs"]
    assert first["folder"] == first["baseline"] == second["baseline"] == str(result)
    assert first["speedup"] == 1
    assert second["speedup"] == pytest.approx(first["seconds"] / second["seconds"], rel=1e-12)
    shown = done("compare", result, slow)
    assert shown.stdout == ""
    for text in ("ratios are to", "slow", "sat", "0.5"):
        assert text in shown.stderr


def test_verify() -> None:
    pytest.importorskip("amaranth", reason="Amaranth is not installed")
    arguments = ["verify", "sat", "--unit", "uspe", "--cases", "2", "--seed", "1"]
    found = document(*arguments, "--set", "m_max=8", "--set", "n_max=2")
    assert list(found) == ["uspe"]
    assert found["uspe"]["cases"] == 2
    assert found["uspe"]["mismatches"] == 0
    assert found["uspe"]["cycles_compared"] > 0


def test_a_mismatch_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = {
        "cases": 2,
        "cycles_compared": 99,
        "mismatches": 3,
        "simulator": "by hand",
        "first_mismatch": {
            "case": 1,
            "clock": 7,
            "port": "o_sum",
            "values": {"rtl": 5, "stepped": 6},
        },
    }
    monkeypatch.setattr("hw.verify.verify", lambda *_arguments, **_options: {"uspe": outcome})
    result = call("verify", "sat", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"uspe": outcome}
    lines = result.stderr.splitlines()
    assert lines[0] == "uspe: 2 cases, 99 cycles compared, 3 mismatches (by hand)"
    assert lines[1] == (f"{PREFIX}unit uspe: case 1, clock 7, port o_sum: rtl 5, stepped 6")


def test_a_failed_check_is_exit_code_1_and_leaves_nothing(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparsesim.errors import CheckError

    def simulate(*_arguments: Any, **_options: Any) -> None:
        raise CheckError("operator 'fc.FF': pass 3 differs from NumPy")

    monkeypatch.setattr("sparsesim.simulate.run", simulate)
    result = call("run", trace, "--machine", "sat", "--check", "-o", tmp_path / "out", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{PREFIX}operator 'fc.FF': pass 3 differs from NumPy\n"
    assert not (tmp_path / "out").exists()
