"""Responses of Verilog modules by Icarus, a third simulator, for stimuli as words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from hw.component_ports import CLOCK
from hw.cosim.trace_words import WordRow, Words


def icarus_response(
    verilog: str, top: str, inputs: WordRow, outputs: WordRow, rows: Words, folder: Path
) -> Words:
    """Outputs before each clock edge; a bit that is unknown fails the test."""
    (folder / "rows.mem").write_text(
        "\n".join("".join(f"{word:08x}" for word in row[::-1]) for row in rows.tolist())
    )

    def at(field):
        return f"[{32 * field.offset} +: {field.port.width}]"

    driven = ", ".join(f".{f.port.name}(row{at(f)})" for f in inputs.fields)
    seen = ", ".join(f".{f.port.name}(out{at(f)})" for f in outputs.fields)
    wires = 32 * outputs.words
    unused = "\n".join(
        f"  assign out[{32 * (f.offset + f.words) - 1}:{32 * f.offset + f.port.width}] = 0;"
        for f in outputs.fields
        if f.port.width % 32
    )
    (folder / "bench.v").write_text(
        f"{verilog}\nmodule bench;\n  reg {CLOCK.name} = 0;\n"
        f"  reg [{32 * inputs.words - 1}:0] rows [0:{len(rows) - 1}], row;\n"
        f"  wire [{wires - 1}:0] out;\n{unused}\n"
        f"  {top} unit(.{CLOCK.name}({CLOCK.name}), {driven}, {seen});\n  integer t;\n"
        f'  initial begin\n    $readmemh("rows.mem", rows);\n'
        f"    for (t = 0; t < {len(rows)}; t = t + 1) begin\n"
        f'      row = rows[t]; #1 $display("%h", out); {CLOCK.name} = 1; #1 {CLOCK.name} = 0;\n'
        "    end\n  end\nendmodule\n"
    )
    for command in (
        ["iverilog", "-g2005", "-o", "bench.vvp", "-s", "bench", "bench.v"],
        ["vvp", "-n", "bench.vvp"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.split() if len(line) == wires // 4]
    assert len(lines) == len(rows)
    words = [[line[i : i + 8] for i in range(0, len(line), 8)][::-1] for line in lines[1:]]
    first = np.zeros((1, outputs.words), np.uint32)  # before the reset nothing is known
    return np.concatenate(
        [first, np.array([[int(w, 16) for w in row] for row in words], np.uint32)]
    )
