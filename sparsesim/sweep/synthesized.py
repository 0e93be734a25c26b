"""Synthesized area of the machines of a sweep, and their clock where the space asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sparsesim.area import read_table
from sparsesim.errors import InputError
from sparsesim.machines.parameters import Provenance
from sparsesim.sweep.space import MachinePoint, Space


def with_area(points: Sequence[MachinePoint], space: Space, path: Path) -> list[MachinePoint]:
    """`points` with their area, and with the clock that synthesis allows if `area.clock` is fmax.

    Args:
        path: SPACE.yaml; a table file is relative to its folder.

    Raises:
        InputError: the table cannot be read or lacks a unit, the family has no RTL, or `fmax` of
            a target without a router, or beside a swept clock.
    """
    if space.area is None:
        return list(points)
    if space.area.clock == "fmax" and "clock_hz" in space.set:
        raise InputError(f"{path}: area.clock: fmax sets clock_hz, which is swept")
    table = read_table(path.parent / space.area.table if space.area.table else None)
    found = []
    for point in points:
        area = table.of(point.machine, space.area.target)
        machine = point.machine
        if space.area.clock == "fmax":
            if area["clock_hz_max"] is None:
                raise InputError(
                    f"{path}: area.clock: {space.area.target} has no Fmax in {table.path} "
                    "(its clock must be machine)"
                )
            machine = replace(
                machine,
                spec=machine.spec.model_copy(update={"clock_hz": area["clock_hz_max"]}),
                provenance=machine.provenance
                | {"clock_hz": Provenance("derived", f"Fmax of its slowest unit, {table.path}")},
            )
        found.append(replace(point, machine=machine, area=area))
    return found
