"""Verilog of a machine's unit with wrapper, testbench, constraints and manifest."""

from __future__ import annotations

import hashlib
import json
import textwrap
from pathlib import Path
from typing import Any

from hw.units import Unit, make_unit, resolve_machine
from sparsesim import __version__
from sparsesim.atomic_output import atomic_folder, refuse_existing
from sparsesim.machines.parameters import Machine

_SCHEMA_VERSION = 2
#: Stimuli in the emitted testbench; a large unit has an attribute `bench_cases` of its own.
_BENCH_CASES = 14
_BENCH_SEED = 0

#: Verilator warnings that stay, and why; all others are clean under -Wall.
LINT_WAIVERS: dict[str, str] = {
    "CASEOVERLAP": "multiplexers are written as casez over one-hot selects",
    "DECLFILENAME": "the parts of the unit are modules in the same file",
    "UNUSEDSIGNAL": "carries and shifted-out bits are named but not read",
    "WIDTH": "operands are extended and results cut as Verilog does by itself",
}


def emit(
    machine: str | Machine[Any],
    out: Path,
    *,
    unit: str = "uspe",
    overrides: dict[str, Any] | None = None,
    force: bool = False,
) -> list[Path]:
    """Write a unit as Verilog-2005 with what a flow needs beside it.

    One file per module that is placed, an AXI4-Stream wrapper where the unit has streams, a
    self-checking testbench with vectors from the stepped core, clock constraints, a file list, a
    FuseSoC core, and ``manifest.json`` with the interface. The same machine gives the same bytes
    on every computer.

    Parameters
    ----------
    machine : name, YAML file, or loaded machine
    out : folder to make
    unit : unit of the machine's family
    overrides : machine keys to set
    force : replace `out` if it is an earlier output

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        Unknown machine, key or unit, impossible value, or `out` exists.
    """
    loaded = resolve_machine(machine, overrides)
    made = make_unit(loaded, unit)
    out = Path(out)
    refuse_existing(out, force)
    contents = render(loaded, made, unit)
    with atomic_folder(out, force) as folder:
        for name, text in contents.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in contents]


def render(machine: Machine[Any], unit: Unit, name: str) -> dict[str, str]:
    """The texts of a unit by file name."""
    from hw.axi_stream import streams_of, wrapper
    from hw.build_files import build_files
    from hw.component_ports import CLOCK, RESET, port_values
    from hw.testbench import bench_files
    from hw.verilog import verilog_modules

    component = unit.component()
    description = unit.description()
    ports = [CLOCK, RESET, *port_values(component)]
    header = _header(machine, name, description)
    files = {
        f"{module}.v": header + text for module, text in verilog_modules(component, name).items()
    }
    sources = list(files)
    streams = streams_of(ports)
    if streams:
        files[f"{name}_axis.v"] = header + wrapper(name, ports)
    clock_hz = float(machine.spec.clock_hz)
    bench = bench_files(
        unit, name, ports[2:], getattr(unit, "bench_cases", _BENCH_CASES), _BENCH_SEED
    )
    files |= bench
    files |= build_files(name, sources, list(bench), clock_hz, __version__)
    if not streams:
        del files[f"{name}_axis.xdc"]
    meanings = {
        CLOCK.name: "clock, rising edge",
        RESET.name: "reset, synchronous, active high",
        **unit.meanings(),
    }
    manifest = {
        "schema_version": _SCHEMA_VERSION,
        "tool": {"name": "sparsesim", "version": __version__},
        "machine": {
            "name": machine.name,
            "family": machine.family,
            "sha256": machine.sha256(),
        },
        "unit": name,
        "top": name,
        **description,
        "clock": {"port": CLOCK.name, "edge": "rising", "hz": clock_hz},
        "reset": {"port": RESET.name, "active": "high", "kind": "synchronous"},
        "ports": [{**port._asdict(), "meaning": meanings[port.name]} for port in ports],
        "axi4_streams": [
            {
                "port": stream.prefix,
                "tdata_bits": stream.data_bits,
                "tdata_from_bit_0": [[field.name, field.width] for field in stream.fields],
                "tlast": stream.last.name if stream.last else None,
            }
            for stream in streams
        ],
        "lint_waivers": LINT_WAIVERS,
        "sources": sources,
        "files": {
            file: {"sha256": hashlib.sha256(text.encode()).hexdigest()}
            for file, text in files.items()
        },
    }
    return {**files, "manifest.json": json.dumps(manifest, indent=2) + "\n"}


def _header(machine: Machine[Any], name: str, description: dict[str, Any]) -> str:
    parameters = ", ".join(f"{key}={value}" for key, value in description["parameters"].items())
    text = [
        "SPDX-License-Identifier: Apache-2.0",
        f"Generated by sparsesim {__version__}: do not edit.",
        f"Unit {name}: {description['summary']}.",
        # json: a machine's name may hold line breaks
        f"Machine {json.dumps(machine.name)} ({machine.family}), sha256 {machine.sha256()}.",
        *textwrap.wrap(f"Parameters: {parameters}.", 92),
        "rst clears all state that is read before it is written. Ports: see manifest.json.",
        "Lint waivers (all else is clean under verilator -Wall):",
    ]
    width = max(map(len, LINT_WAIVERS))
    text += [f"  {rule:{width}} {reason}" for rule, reason in LINT_WAIVERS.items()]
    waivers = [f"/* verilator lint_off {rule} */" for rule in LINT_WAIVERS]
    return "\n".join([*(f"// {line}" for line in text), *waivers, "", ""])
