"""Recipe: synthesise the units that the designs of a sweep are made of, into a table.

    python -m hw.area_table SPACE.yaml ... -o TABLE.yaml [--target ecp5] [--target xcup]
        [--seeds 1] [--jobs 2]

Units that the table holds already are left as they are; the file is written after each unit, so
that a run that is broken off goes on where it was.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, get_args

import click

from hw.synth import ROUTE_SEEDS, synthesise_sources
from sparsesim.area import Part, parts_of, read_table
from sparsesim.area.table import SHIPPED, Target, entry_key
from sparsesim.atomic_output import atomic_file
from sparsesim.errors import SparseSimError
from sparsesim.machines.parameters import read_yaml_mapping
from sparsesim.sweep.space import machine_points, read_space

#: The clock that the router aims at.
_AIM_HZ = 200e6


def component_of(unit: str, parameters: dict[str, int]) -> Any:
    """The hardware of a table entry; what its key leaves out does not change it."""
    from hw.sat.sore import Sore
    from hw.sat.stce_control import StceControl
    from hw.sat.stce_edges import StceNorth, StceSouth, StceWest
    from hw.sat.uspe import Uspe
    from hw.sat.wuve import Wuve
    from sparsesim.machines.sat.array_ports import ArraySpec
    from sparsesim.machines.sat.sorter_ports import SorterSpec
    from sparsesim.machines.sat.spec import UspeSpec
    from sparsesim.machines.sat.update_lane_ports import UpdateLaneSpec

    any_pe = {"rows": 2, "m_max": 1, "n_max": 1, "interleave": 1, "mul_latency": 1}

    def edge(make: Callable[[ArraySpec], Any]) -> Any:
        pe = UspeSpec.model_validate({**any_pe, "add_latency": 1, **parameters})
        return make(ArraySpec(pe=pe, cols=2))

    makers: dict[str, Callable[[], Any]] = {
        "uspe": lambda: Uspe(UspeSpec.model_validate(parameters)),
        "sore": lambda: Sore(SorterSpec.model_validate(parameters)),
        "wuve": lambda: Wuve(UpdateLaneSpec.model_validate(parameters)),
        "stce_west": lambda: edge(StceWest),
        "stce_north": lambda: edge(StceNorth),
        "stce_south": lambda: edge(StceSouth),
        "stce_control": lambda: edge(StceControl),
    }
    return makers[unit]()


def synthesised_unit(
    unit: str, parameters: dict[str, int], target: Target, seeds: int = 1
) -> dict[str, Any]:
    """One entry of the table, with the tools that made it under `tools`, its device beside it.

    Raises:
        SparseSimError: a tool is missing or failed.
    """
    from hw.verilog import verilog_modules

    sources = {
        f"{module}.v": text
        for module, text in verilog_modules(component_of(unit, parameters), unit).items()
    }
    found = synthesise_sources(sources, unit, target, clock_hz=_AIM_HZ, seeds=ROUTE_SEEDS[:seeds])
    entry = {
        "unit": unit,
        "parameters": parameters,
        "target": target,
        **{column: int(found[column]) for column in ("lut", "ff", "dsp")},
        "bram": float(found["bram"]),
        "fmax_hz": found["fmax_hz"] and float(round(found["fmax_hz"])),
        "seeds": len(found["fmax_hz_by_seed"]),
    }
    return {"entry": entry, "device": found["device"], "tools": found["tools"]}


def _needed(spaces: Sequence[Path]) -> list[Part]:
    """The units of all designs, each once."""
    parts: dict[str, Part] = {}
    for path in spaces:
        for point in machine_points(read_space(path), path):
            for part in parts_of(point.machine):
                parts.setdefault(entry_key(part.unit, part.parameters, ""), part)
    return list(parts.values())


def _write(path: Path, content: dict[str, Any]) -> None:
    lines = [
        f"# Synthesized units, out of context. Made by '{_COMMAND}'.",
        "# LUTs: LUT4 on ecp5, LUT1 to LUT6 on xcup. fmax_hz: median of the seeds of the router.",
        f"tools: {json.dumps(content['tools'])}",
        f"devices: {json.dumps(content['devices'])}",
        "units:",
        *(f"- {json.dumps(entry)}" for entry in content["units"]),
    ]
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


_COMMAND = "python -m hw.area_table"


@click.command()
@click.argument("spaces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The table.")
@click.option(
    "--target", "targets", multiple=True, type=click.Choice(get_args(Target)), default=["ecp5"],
    show_default=True,
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1, len(ROUTE_SEEDS)), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True)
def main(
    spaces: tuple[Path, ...], out: Path, targets: tuple[Target, ...], seeds: int, jobs: int
) -> None:
    """Synthesise the units of all designs of SPACES that OUT does not hold yet."""
    try:
        needed = _needed(spaces)
        start = out if out.exists() else SHIPPED
        content: dict[str, Any] = {"tools": {}, "devices": {}, "units": []}
        if start.exists():
            read_table(start)
            content = read_yaml_mapping(start, "tools, devices, units")
        held = {entry_key(e["unit"], e["parameters"], e["target"]) for e in content["units"]}
        todo = [
            (part, target)
            for target in targets
            for part in needed
            if entry_key(part.unit, part.parameters, target) not in held
        ]
        with ThreadPoolExecutor(jobs) as pool:  # the work is in processes of the tools
            running = [
                pool.submit(synthesised_unit, part.unit, part.parameters, target, seeds)
                for part, target in todo
            ]
            for number, future in enumerate(as_completed(running), start=1):
                made = future.result()
                entry = made["entry"]
                key = entry_key(entry["unit"], entry["parameters"], entry["target"])
                click.echo(f"{number} of {len(todo)}: {key}", err=True)
                content["units"].append(entry)
                content["devices"][entry["target"]] = made["device"]
                # Yosys also names its compiler, with a path of the machine that built it.
                content["tools"] |= {
                    name: text.partition(" (")[0] for name, text in made["tools"].items() if text
                }
                _write(out, content)
        if not out.exists():
            _write(out, content)
    except SparseSimError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
