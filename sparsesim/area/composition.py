"""Which synthesized units a design is made of, and how many of each.

Units are named by what decides their hardware. The number of rows only sets the width of counters
and is rounded up to 32 or 1024 (a few bits per PE); the memories of the edges have 512 words,
whatever the buffers hold: `on_chip_bytes` counts those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine
from sparsesim.machines.sat.sorter_ports import sorter_spec
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.update_lane_ports import update_lane_spec


@dataclass(frozen=True)
class Part:
    """A unit and how often the design has it."""

    unit: str
    parameters: dict[str, int]
    count: int


def parts_of(machine: Machine[Any]) -> list[Part]:
    """The synthesized units of a design.

    Raises:
        InputError: the machine's family has no RTL of a whole design.
    """
    if machine.family not in _COMPOSITIONS:
        raise InputError(
            f"area: machine family {machine.family!r} has no synthesized design "
            f"(families that have: {', '.join(_COMPOSITIONS)})"
        )
    return _COMPOSITIONS[machine.family](machine.spec)


def _sat_parts(spec: SatSpec) -> list[Part]:
    """PEs, the edges and the control of the array, sorter and update lanes.

    The vector unit, the DMA engines and the arbitration of the activation banks are not in RTL.
    """
    rows = 32 if spec.rows <= 32 else 1024
    pe = spec.uspe.model_dump(include={"m_max", "n_max", "interleave", "add_latency"})
    parts = [
        Part("uspe", {**spec.uspe.model_dump(), "rows": rows}, spec.pes),
        Part("stce_west", pe, spec.rows),
        Part("stce_north", {"rows": rows, "m_max": spec.m_max, "n_max": spec.n_max}, spec.cols),
        Part("stce_south", {"add_latency": spec.add_latency}, spec.cols),
        Part("stce_control", {"rows": rows, **pe, "mul_latency": spec.mul_latency}, 1),
        Part("wuve", update_lane_spec(spec).model_dump(), spec.update_lanes),
    ]
    if spec.m_max > 1:  # a dense machine sorts nothing
        parts.append(Part("sore", sorter_spec(spec).model_dump(), spec.sorter_lanes))
    return parts


_COMPOSITIONS = {"sat": _sat_parts}
