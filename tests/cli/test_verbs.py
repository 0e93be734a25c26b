"""The verbs that only write files, end to end on small cases."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sparsesim.results import read_folder
from sparsesim.trace import Manifest, Trace, load, save
from tests.cli.command_line import PREFIX, call, done
from tests.trace.small_traces import gemm, manifest_of

PROGRAM = [sys.executable, "-c", "from sparsesim.cli import main; main()"]


def test_extract_to_report(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    for name, prune in (("dense", "none"), ("sparse", "nm:2:8")):
        file = tmp_path / f"{name}.trace"
        done("extract", "resnet18", "--batch", "1", "--prune", prune, "--phase", "inference",
             "--method", "bdwp", "-o", file)  # fmt: skip
        assert load(file).manifest.provenance["prune"] == prune
        done("run", file, "--machine", "sat", "-o", tmp_path / name)
    dense, sparse = (read_folder(tmp_path / name).summary for name in ("dense", "sparse"))
    assert sparse["macs_dense"] == dense["macs_dense"]
    assert sparse["total_cycles"] < dense["total_cycles"]
    result = done("report", tmp_path / "dense", tmp_path / "sparse", "-o", tmp_path / "report")
    assert result.stdout == ""
    assert "resnet18" in (tmp_path / "report" / "index.html").read_text()


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    for name in ("a", "b"):
        done("extract", "resnet18", "--batch", "1", "--prune", "nm:2:8", "--seed", "5",
             "--phase", "inference", "-o", tmp_path / name)  # fmt: skip
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_emit(tmp_path: Path) -> None:
    pytest.importorskip("amaranth", reason="Amaranth is not installed")
    done("emit", "sat", "--unit", "uspe", "--set", "m_max=8", "--set", "n_max=2",
         "-o", tmp_path / "rtl")  # fmt: skip
    manifest = json.loads((tmp_path / "rtl" / "manifest.json").read_text())
    assert manifest["unit"] == "uspe"
    assert "endmodule" in (tmp_path / "rtl" / "uspe.v").read_text()


def test_emit_writes_the_array_of_sat_with_its_stream_wrapper(tmp_path: Path) -> None:
    pytest.importorskip("amaranth", reason="Amaranth is not installed")
    small = ("rows=2", "cols=3", "m_max=4", "n_max=2", "act_buffer_bytes=4096")
    done("emit", "sat", *(word for item in small for word in ("--set", item)),
         "-o", tmp_path / "rtl")  # fmt: skip
    manifest = json.loads((tmp_path / "rtl" / "manifest.json").read_text())
    assert (manifest["top"], manifest["parameters"]["cols"]) == ("stce", 3)
    assert {stream["port"] for stream in manifest["axi4_streams"]} >= {"s_axis_a", "s_axis_w"}
    assert "module stce_axis (" in (tmp_path / "rtl" / "stce_axis.v").read_text()


def test_emit_takes_the_first_unit_of_any_family(tmp_path: Path) -> None:
    pytest.importorskip("amaranth", reason="Amaranth is not installed")
    done("emit", "piuma", "-o", tmp_path / "rtl")
    manifest = json.loads((tmp_path / "rtl" / "manifest.json").read_text())
    assert manifest["unit"] == "hash_bank"


def test_run_counts_operators_not_engines(tmp_path: Path) -> None:
    done("extract", "uniform:rows=4,edges=5", "-o", tmp_path / "p.trace")
    result = done("run", tmp_path / "p.trace", "--machine", "piuma", "-o", tmp_path / "r")
    assert "(1 operators, fast)" in result.stderr
    assert len(read_folder(tmp_path / "r").operators) > 1


def test_sweep(tmp_path: Path, trace: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(f"machine: sat\nset:\n  rows: [8, 16]\ntrace:\n  files: [{trace.name}]\n")
    result = done("sweep", space, "-o", tmp_path / "out", "--jobs", "1")
    assert result.stdout == ""
    assert "2 points, 2 simulated, 0 reused, 0 failed" in result.stderr
    with (tmp_path / "out" / "sweep.csv").open() as file:
        assert [row["rows"] for row in csv.DictReader(file)] == ["8", "16"]
    again = done("sweep", space, "-o", tmp_path / "out", "--jobs", "1", "--resume")
    assert "2 points, 0 simulated, 2 reused, 0 failed" in again.stderr


def test_a_sweep_with_failed_points_is_exit_code_1(tmp_path: Path) -> None:
    operand = {"tensor": "w", "pattern": {"kind": "csr", "rows": 16, "columns": 3, "nnz": 4}}
    spgemm = gemm(kind="spgemm", b=operand)
    manifest = Manifest.model_validate(manifest_of(operators=[spgemm], masks=[]))
    save(Trace(manifest), tmp_path / "matrix.trace")
    space = tmp_path / "space.yaml"
    space.write_text("machine: sat\nset: {rows: [8, 16]}\ntrace: {files: [matrix.trace]}\n")
    result = call("sweep", space, "-o", tmp_path / "out", "--jobs", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{tmp_path}/out/sweep.csv: 2 points, 2 simulated, 0 reused, 2 failed",
        f"{PREFIX}2 of 2 points failed; see {tmp_path}/out/sweep.csv",
    ]


def test_an_interrupted_sweep_says_what_is_stored(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt("interrupted: 1 of 2 points are stored; --resume")

    monkeypatch.setattr("sparsesim.sweep.run.run_points", interrupted)
    space = tmp_path / "space.yaml"
    space.write_text(f"machine: sat\nset: {{rows: [8, 16]}}\ntrace: {{files: [{trace.name}]}}\n")
    result = call("sweep", space, "-o", tmp_path / "out", "--jobs", "1")
    assert result.exit_code == 130
    assert result.stderr.startswith(f"{PREFIX}interrupted: 0 of 2 points are stored in {tmp_path}")
    assert result.stderr.count("\n") == 1


def test_an_interruption_is_one_line(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sparsesim.simulate.run", interrupted)
    result = call("run", trace, "--machine", "sat", "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (130, f"{PREFIX}interrupted\n")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_in_a_shell(trace: Path) -> None:
    waits = (
        "import sparsesim.trace, time, sys\n"
        "def load(path):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "sparsesim.trace.load = load\n"
        "from sparsesim.cli import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", waits, "inspect", str(trace)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == f"{PREFIX}interrupted"


def test_a_closed_pipe_is_silent(trace: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ended = subprocess.run(
            [*PROGRAM, "inspect", str(trace), "--json"], stdout=pipe, stderr=subprocess.PIPE
        )
    assert ended.stderr == b""
    assert ended.returncode == 141


def test_a_full_disk_is_one_line(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "operators.csv")

    monkeypatch.setattr("sparsesim.results.write_folder", full)
    result = call("run", trace, "--machine", "sat", "-o", tmp_path / "out")
    assert result.stderr == f"{PREFIX}operators.csv: No space left on device\n"
    assert result.exit_code == 2


def test_a_failure_in_a_shell(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*PROGRAM, "inspect", str(tmp_path / "absent.trace")], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(PREFIX)
