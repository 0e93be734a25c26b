"""Proofs on emitted Verilog by temporal induction: the SAT solver in Yosys (package `pyosys`).

A property is SystemVerilog text put into the unit's top module, so that it sees every register.
Initial states are arbitrary; `RESET_FIRST` says that the first clock resets.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

#: `started` is low in the first clock, which is a reset.
RESET_FIRST = """
  reg started = 0;
  always @(posedge clk) started <= 1;
  always @* assume(started || rst);
"""


class Proof(NamedTuple):
    """Whether the properties hold forever, and the clocks of the proof or the counterexample."""

    holds: bool
    clocks: int


def prove(verilog: str, top: str, properties: str, folder: Path, *, longest: int = 12) -> Proof:
    """Prove the assertions of `properties` in module `top` by induction of up to `longest` clocks.

    Raises:
        RuntimeError: Yosys failed, or the induction needs more clocks.
    """
    marked = re.sub(
        rf"(^module {top}\(.*?)^endmodule",
        lambda match: f"{match[1]}{properties}\nendmodule",
        verilog,
        count=1,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert marked != verilog, f"no module {top}"
    (folder / "design.sv").write_text(marked)
    (folder / "run.ys").write_text(
        f"read_verilog -formal -sv design.sv; prep -flatten -top {top}; chformal -lower; "
        "memory_map; setundef -anyseq; opt_clean; "
        f"sat -tempinduct -prove-asserts -set-assumes -maxsteps {longest} {top}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from pyosys import libyosys as y; y.run_pass('script run.ys')"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    clocks = [int(found) for found in re.findall(r"^\*\* Trying induction with length (\d+)", text,
                                                 re.MULTILINE)]  # fmt: skip
    if "Induction step proven: SUCCESS!" in text:
        return Proof(True, max(clocks))
    if "model found for base case: FAIL!" in text:
        return Proof(False, max(clocks))
    raise RuntimeError(f"no verdict on {top}: {text[-2000:]}")
