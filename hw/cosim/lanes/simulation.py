"""A unit as emitted Verilog, compiled to vector code: many instances of a part per instruction.

The text is read by Yosys and becomes C++ in `hw.cosim.lanes.program`, so this simulator is itself
compared with others (`tests/hw/test_lanes.py`). An array is built in seconds, and runs several
times as fast as in Verilator.
"""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from hw.component_ports import RESET, Port
from hw.cosim.lanes.netlist import read_netlist
from hw.cosim.lanes.program import lane_program
from hw.cosim.trace_words import Words, inputs_and_outputs
from sparsesim.errors import SparseSimError


def missing_tool() -> str | None:
    """The first of the programs this simulator needs that is not installed, or None."""
    if importlib.util.find_spec("pyosys") is None:
        return "pyosys"
    return None if shutil.which("g++") else "g++"


class LaneSimulation:
    """Compiles the Verilog text of module `top`; a context manager that removes the build.

    `ports` are those of the module without ``clk`` and ``rst``; ``rst`` is an input like any
    other here. A response is sampled before the clock edge that ends its clock.

    Raises:
        SparseSimError: Yosys or the C++ compiler failed, or the design has what this simulator
            cannot do (`lane_program`).
    """

    name = "lanes"

    def __init__(self, verilog: str, top: str, ports: Sequence[Port]):
        self.inputs, self.outputs = inputs_and_outputs([*ports, RESET])
        program = lane_program(read_netlist(verilog, top), self.inputs, self.outputs)
        self._build = tempfile.TemporaryDirectory(prefix="lanes-")
        try:
            self._library = self._compile(Path(self._build.name), program, top)
        except BaseException:
            self._build.cleanup()
            raise

    @staticmethod
    def _compile(folder: Path, program: str, top: str) -> ctypes.CDLL:
        (folder / "unit.cpp").write_text(program, encoding="utf-8")
        flags = ["-O2", "-march=native", "-std=c++17", "-fPIC", "-shared", "-w"]
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
        library = ctypes.CDLL(str(folder / "unit.so"))
        words = np.ctypeslib.ndpointer(dtype=np.uint32, ndim=2, flags="C_CONTIGUOUS")
        library.run.argtypes = [ctypes.c_uint64, words, words]
        library.run.restype = None
        return library

    def run(self, rows: Words) -> Words:
        """Simulate from a state of zeros: inputs (T, words) to outputs (T, words)."""
        response = np.zeros((len(rows), self.outputs.words), dtype=np.uint32)
        self._library.run(len(rows), np.ascontiguousarray(rows, dtype=np.uint32), response)
        return response

    def __enter__(self) -> LaneSimulation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._build.cleanup()
