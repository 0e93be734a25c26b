"""Emitted Verilog as a netlist of words: what Yosys (package `pyosys`) makes of it, unmapped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sparsesim.errors import SparseSimError

#: A wire's number within its module, or a constant: "0", "1", "x" or "z".
Bit = int | str
Bits = tuple[Bit, ...]

_READ = "read_verilog design.v; hierarchy -check -top {top}; proc -noopt"
# Operators stay words; opt and wreduce drop what nothing reads.
_LOWER = "flatten; opt; wreduce; opt; memory_collect; opt_clean"

#: Names that Yosys takes for themselves where it takes patterns.
_PLAIN_NAME = re.compile(r"\w+", re.ASCII)


class Cell(NamedTuple):
    """An operator, register or memory (type ``$...``), or an instance of a part.

    Pins list their bits from the least significant on.
    """

    name: str
    type: str
    parameters: dict[str, int]
    pins: dict[str, Bits]


class NetlistModule(NamedTuple):
    """Ports by name, those of each direction from the least significant bit on."""

    name: str
    inputs: dict[str, Bits]
    outputs: dict[str, Bits]
    cells: list[Cell]


class Netlist(NamedTuple):
    """A design as its top module and the modules of which that places more than one.

    Everything that is placed once is dissolved in the top module, as are modules that place the
    same part more than once (a row of an array).
    """

    top: NetlistModule
    parts: dict[str, NetlistModule]


def read_netlist(verilog: str, top: str) -> Netlist:
    """Read a Verilog text, optimise it as words and dissolve its hierarchy but for the parts.

    Raises:
        SparseSimError: Yosys refused the text (its first error follows), or a register begins with
            another value than zero.
    """
    with tempfile.TemporaryDirectory(prefix="netlist-") as name:
        folder = Path(name)
        (folder / "design.v").write_text(verilog, encoding="utf-8")
        read = _READ.format(top=top)
        placed = _modules(_yosys(folder, f"{read}; write_json out.json", top))
        parts = _repeated({name: _placed(body) for name, body in placed.items()}, top)
        keep = f"setattr -mod -set keep_hierarchy 1 {' '.join(parts)}; " if parts else ""
        design = _modules(_yosys(folder, f"{read}; {keep}{_LOWER}; write_json out.json", top))
    modules = {name: _module(name, body) for name, body in design.items()}
    placed_in_top = {cell.type for cell in modules[top].cells}  # nothing reads the others
    used = {name: modules[name] for name in parts if name in placed_in_top}
    return Netlist(_connected(modules[top], used), used)


def _yosys(folder: Path, script: str, top: str) -> dict[str, Any]:
    (folder / "run.ys").write_text(script.replace("; ", "\n") + "\n", encoding="utf-8")
    run = "from pyosys import libyosys as y; y.run_pass('script run.ys')"
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if "ERROR" in line]
        raise SparseSimError(f"Yosys failed on {top}: {(errors or ['no message'])[0]}")
    return dict(json.loads((folder / "out.json").read_text(encoding="utf-8")))


def _modules(design: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: body
        for name, body in design["modules"].items()
        if not int(body["attributes"].get("blackbox", "0"), 2)
    }


def _placed(body: dict[str, Any]) -> Counter[str]:
    """How many instances of each module a module places itself."""
    types = (cell["type"] for cell in body["cells"].values())
    return Counter(type_ for type_ in types if not type_.startswith("$"))


def _repeated(placed: dict[str, Counter[str]], top: str) -> list[str]:
    """The outermost modules that a design places more than once and that place each module once."""
    totals: Counter[str] = Counter()

    def count(module: str, times: int) -> None:
        totals[module] += times
        for child, here in placed[module].items():
            count(child, times * here)

    def below(module: str) -> Iterator[Counter[str]]:
        yield placed[module]
        for child in placed[module]:
            yield from below(child)

    def outermost(module: str) -> Iterator[str]:
        for child in placed[module]:
            once = all(most <= 1 for inner in below(child) for most in inner.values())
            if totals[child] > 1 and once and _PLAIN_NAME.fullmatch(child):
                yield child
            else:
                yield from outermost(child)

    count(top, 1)
    found = dict.fromkeys(outermost(top))
    inside = {child for module in found for placed_here in below(module) for child in placed_here}
    return [module for module in found if module not in inside]


def _connected(top: NetlistModule, parts: dict[str, NetlistModule]) -> NetlistModule:
    """The top module with bits "x" on the inputs of parts that it leaves open."""
    cells = []
    for cell in top.cells:
        if cell.type in parts:
            open_pins: dict[str, Bits] = {
                pin: ("x",) * len(bits)
                for pin, bits in parts[cell.type].inputs.items()
                if not cell.pins.get(pin)
            }
            cell = cell._replace(pins=cell.pins | open_pins)
        cells.append(cell)
    return top._replace(cells=cells)


def _module(name: str, body: dict[str, Any]) -> NetlistModule:
    for wire, net in body["netnames"].items():
        if "1" in net["attributes"].get("init", ""):
            raise SparseSimError(
                f"{name}: the initial value of {wire} cannot be simulated in lanes"
            )
    ports = body["ports"]
    cells = []
    for cell_name, cell in body["cells"].items():
        if cell["type"] == "$scopeinfo":
            continue
        numbers = {
            key: int(value.replace("x", "0"), 2)  # a bit of a reset value that nothing reads is x
            for key, value in cell["parameters"].items()
            if value and set(value) <= {"0", "1", "x"}
        }
        pins = {pin: tuple(bits) for pin, bits in cell["connections"].items()}
        cells.append(Cell(cell_name, cell["type"], numbers, pins))
    return NetlistModule(
        name,
        {port: tuple(p["bits"]) for port, p in ports.items() if p["direction"] == "input"},
        {port: tuple(p["bits"]) for port, p in ports.items() if p["direction"] == "output"},
        cells,
    )


__all__ = ["Bit", "Bits", "Cell", "Netlist", "NetlistModule", "read_netlist"]
