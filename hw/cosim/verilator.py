"""A unit as emitted Verilog, compiled by Verilator."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hw.component_ports import Port
from hw.cosim.compiled import CompiledSimulation
from hw.cosim.trace_words import PortField
from sparsesim.errors import SparseSimError

_SHIM = """\
#include <cstdint>
#include "V{top}.h"
static VerilatedContext* context = new VerilatedContext;
double sc_time_stamp() {{ return 0; }}
extern "C" void run(uint64_t clocks, const uint32_t* in, uint32_t* out) {{
  V{top}* unit = new V{top}(context);
  for (uint64_t t = 0; t < clocks; ++t, in += {words_in}, out += {words_out}) {{
    unit->clk = 0;
{drive}
    unit->eval();
{sample}
    unit->clk = 1;
    unit->eval();
  }}
  unit->final();
  delete unit;
}}
"""


def missing_tool() -> str | None:
    """The first of the programs this simulator needs that is not on PATH, or None."""
    return next((tool for tool in ("verilator", "g++", "make") if not shutil.which(tool)), None)


class VerilatorSimulation(CompiledSimulation):
    """Verilator's C++ of a unit, compiled."""

    def __init__(self, verilog: str, top: str, ports: Sequence[Port]):
        self.name = _version()
        super().__init__(verilog, top, ports)

    def _compile(self, folder: Path, verilog: str, top: str) -> Path:
        (folder / f"{top}.v").write_text(verilog, encoding="utf-8")
        shim = _SHIM.format(
            top=top,
            words_in=self.inputs.words,
            words_out=self.outputs.words,
            drive="\n".join(_drive(field) for field in self.inputs.fields),
            sample="\n".join(_sample(field) for field in self.outputs.fields),
        )
        (folder / "shim.cpp").write_text(shim, encoding="utf-8")
        done = subprocess.run(
            [
                *("verilator", "--cc", "-O3", "-Wno-fatal", "-Wno-lint", "--build"),
                *("--x-initial", "fast", "--top-module", top, "--exe", "shim.cpp"),
                # What runs once (OPT_SLOW) is compiled as it is: it is half of a large unit's text.
                *("-CFLAGS", "-fPIC", "-MAKEFLAGS", "OPT_FAST=-O2", "-LDFLAGS", "-shared"),
                *("-o", "unit.so", f"{top}.v"),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "rror" in line]
            raise SparseSimError(f"{self.name} failed on {top}: {(errors or ['no message'])[0]}")
        return folder / "obj_dir" / "unit.so"


def _version() -> str:
    done = subprocess.run(["verilator", "--version"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.lower().split()[:2])


def _drive(field: PortField) -> str:
    port, offset, words = field
    if port.width <= 32:
        return f"    unit->{port.name} = in[{offset}];"
    if port.width <= 64:
        return f"    unit->{port.name} = in[{offset}] | (uint64_t)in[{offset + 1}] << 32;"
    return "\n".join(f"    unit->{port.name}[{i}] = in[{offset + i}];" for i in range(words))


def _sample(field: PortField) -> str:
    port, offset, words = field
    if port.width <= 32:
        return f"    out[{offset}] = unit->{port.name};"
    if port.width <= 64:
        return (
            f"    out[{offset}] = (uint32_t)unit->{port.name}; "
            f"out[{offset + 1}] = unit->{port.name} >> 32;"
        )
    return "\n".join(f"    out[{offset + i}] = unit->{port.name}[{i}];" for i in range(words))
