"""A unit as emitted Verilog, compiled to vector code: many instances of a part per instruction.

The text is read by Yosys and becomes C++ in `hw.cosim.lanes.program`, so this simulator is itself
compared with others (`tests/hw/test_lanes.py`). An array is built in seconds, and runs several
times as fast as in Verilator.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from hw.cosim.compiled import CompiledSimulation
from hw.cosim.lanes.netlist import read_netlist
from hw.cosim.lanes.program import lane_program
from sparsesim.errors import SparseSimError


def missing_tool() -> str | None:
    """The first of the programs this simulator needs that is not installed, or None."""
    if importlib.util.find_spec("pyosys") is None:
        return "pyosys"
    return None if shutil.which("g++") else "g++"


class LaneSimulation(CompiledSimulation):
    """Vector code of a unit, compiled for this machine's processor; the initial state is zeros.

    Raises:
        SparseSimError: also where the design has what this simulator cannot do (`lane_program`).
    """

    name = "lanes"

    def _compile(self, folder: Path, verilog: str, top: str) -> Path:
        program = lane_program(read_netlist(verilog, top), self.inputs, self.outputs)
        (folder / "unit.cpp").write_text(program, encoding="utf-8")
        flags = [
            "-O2",
            "-fschedule-insns",
            "-fsched-pressure",
            "-march=native",
            "-std=c++17",
            "-fPIC",
            "-shared",
            "-w",
        ]
        done = subprocess.run(
            ["g++", *flags, "-o", "unit.so", "unit.cpp"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            raise SparseSimError(f"g++ failed on {top}: {(errors or ['no message'])[0]}")
        return folder / "unit.so"
