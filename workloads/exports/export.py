"""The verb `export`: a trace in the format of another simulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import yaml

from sparsesim.atomic_output import (
    atomic_file,
    atomic_folder,
    refuse_existing,
    refuse_existing_file,
)
from sparsesim.errors import InputError
from sparsesim.trace import Trace, load
from sparsesim.validation import did_you_mean, shown
from workloads.exports.scale_sim import conv_topology, gemm_topology
from workloads.exports.timeloop import problems

FORMATS = ("scalesim-gemm", "scalesim-conv", "timeloop")


def _silent(_message: str) -> None:
    return None


def export(
    trace: Trace | Path | str,
    out: Path | str,
    *,
    to: str,
    force: bool = False,
    on_message: Callable[[str], None] = _silent,
) -> int:
    """Write `trace` as `to`: a SCALE-Sim topology file, or a folder of Timeloop problems.

    Args:
        trace: a trace, or the file of one.
        out: a file, for ``timeloop`` a folder with one file per product.
        to: one of `FORMATS`.
        force: replace an earlier output.
        on_message: called, once all is written, with each line a user should see.

    Returns:
        Products written.

    Raises:
        InputError: an unknown format, or a trace that cannot be said in it.
    """
    if to not in FORMATS:
        raise InputError(
            f"--format {shown(to)}: unknown{did_you_mean(to, FORMATS)} "
            f"(allowed: {', '.join(FORMATS)})"
        )
    out = Path(out)
    if not isinstance(trace, Trace):
        trace = load(trace)
    said: list[str] = []
    written = _write(trace, out, to, force, said.append)
    for line in said:
        on_message(line)
    return written


def _write(trace: Trace, out: Path, to: str, force: bool, on_message: Callable[[str], None]) -> int:
    if to == "timeloop":
        refuse_existing(out, force)
        found = problems(trace, on_message)
        with atomic_folder(out, force) as folder:
            for number, (name, problem) in enumerate(found.items()):
                plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80]
                (folder / f"{number:04d}-{plain}.yaml").write_text(
                    yaml.safe_dump(problem, sort_keys=False, default_flow_style=None)
                )
        return len(found)
    refuse_existing_file(out, force)
    text = (gemm_topology if to == "scalesim-gemm" else conv_topology)(trace, on_message)
    with atomic_file(out) as temporary:
        temporary.write_text(text)
    return text.count("\n") - 1
