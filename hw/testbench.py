"""Self-checking Verilog testbenches with vectors from a unit's stepped core."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.component_ports import RESET, Port
from hw.cosim.trace_words import WordRow, Words, inputs_and_outputs
from hw.units import Unit

_BENCH = """\
// Drives {top} with the vectors of {top}_stimulus.hex and compares every output in every clock with
// {top}_expected.hex, which the simulator's stepped core has computed. Verilog-2005; run it in the
// folder of the vectors. Ends with "PASS" or with the number of wrong clocks.
module {top}_tb;
  localparam CLOCKS = {clocks};
  reg clk = 1'b0;
  reg [{in_high}:0] stimulus [0:CLOCKS - 1];
  reg [{out_high}:0] expected [0:CLOCKS - 1];
  reg [{in_high}:0] in;
  wire [{out_high}:0] out;
  integer clock, wrong;
{padding}  {top} unit (
{connections}
  );
  initial begin
    $readmemh("{top}_stimulus.hex", stimulus);
    $readmemh("{top}_expected.hex", expected);
    wrong = 0;
    for (clock = 0; clock < CLOCKS; clock = clock + 1) begin
      in = stimulus[clock];
      #1;
      // While rst is high nothing is expected.
      if (!in[{reset_bit}] && out !== expected[clock]) begin
        if (wrong < 10)
          $display("clock %0d: got %h, expected %h", clock, out, expected[clock]);
        wrong = wrong + 1;
      end
      clk = 1'b1;
      #1;
      clk = 1'b0;
    end
    if (wrong == 0)
      $display("PASS %0d clocks", CLOCKS);
    else
      $display("FAIL %0d of %0d clocks are wrong", wrong, CLOCKS);
    $finish;
  end
endmodule
"""


def bench_files(
    unit: Unit, top: str, ports: Sequence[Port], cases: int, seed: int
) -> dict[str, str]:
    """The testbench and its vectors, by file name: `cases` stimuli, each after a reset."""
    inputs, outputs = inputs_and_outputs([*ports, RESET])
    model = next(iter(unit.models().values()))
    rows_in: list[Words] = []
    rows_out: list[Words] = []
    for case in range(cases):
        stimulus = unit.stimulus(seed, case)
        clocks = len(next(iter(stimulus.values())))
        rows_in += [
            inputs.pack({"rst": np.ones(1, np.uint32)}, 1),
            inputs.pack(stimulus, clocks),
        ]
        rows_out += [
            np.zeros((1, outputs.words), np.uint32),
            outputs.pack(model(stimulus), clocks),
        ]
    reset = next(field for field in inputs.fields if field.port == RESET)
    connections, padding = ["    .clk(clk)"], ""
    for bus, row in (("in", inputs), ("out", outputs)):
        for port, offset, words in row.fields:
            low = 32 * offset
            connections.append(f"    .{port.name}({bus}[{low + port.width - 1}:{low}])")
            if bus == "out" and port.width < 32 * words:
                high = low + 32 * words - 1
                padding += f"  assign out[{high}:{low + port.width}] = 0;\n"
    bench = _BENCH.format(
        top=top,
        clocks=sum(map(len, rows_in)),
        in_high=32 * inputs.words - 1,
        out_high=32 * outputs.words - 1,
        reset_bit=32 * reset.offset,
        padding=padding,
        connections=",\n".join(connections),
    )
    return {
        f"{top}_tb.v": bench,
        f"{top}_stimulus.hex": _hex(np.concatenate(rows_in), inputs),
        f"{top}_expected.hex": _hex(np.concatenate(rows_out), outputs),
    }


def _hex(rows: Words, layout: WordRow) -> str:
    """One row a line, the last word first."""
    digits = 8 * layout.words
    raw = rows[:, ::-1].astype(">u4").tobytes().hex()
    return "".join(f"{raw[i : i + digits]}\n" for i in range(0, len(raw), digits))


__all__ = ["bench_files"]
