"""The table of synthesized units (`synthesized.yaml`), and designs composed from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sparsesim.area.composition import parts_of
from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine, read_yaml_mapping
from sparsesim.validation import Record, checked

Target = Literal["ecp5", "xcup"]
SHIPPED = Path(__file__).with_name("synthesized.yaml")
RECIPE = "python -m hw.area_table"

#: Columns of a design: LUTs, flip-flops, multipliers; the clock of its slowest unit, Hz.
AREA_COLUMNS: dict[str, type[int] | type[float]] = {
    "lut": int,
    "ff": int,
    "dsp": int,
    "clock_hz_max": float,
}


class Entry(Record):
    """One unit, synthesized out of context."""

    unit: str
    parameters: dict[str, int]
    target: Target
    lut: int = Field(ge=0)
    ff: int = Field(ge=0)
    dsp: int = Field(ge=0)
    bram: float = Field(ge=0)
    fmax_hz: float | None = Field(description="placed and routed; none without an open router")
    seeds: int = Field(ge=0, description="runs of the router that fmax_hz is the median of")

    @property
    def key(self) -> str:
        """What names the unit in the table."""
        return entry_key(self.unit, self.parameters, self.target)


def entry_key(unit: str, parameters: Mapping[str, int], target: str) -> str:
    """A unit as messages and tables name it: ``uspe(m_max=8, ...) on ecp5``."""
    shown = ", ".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return f"{unit}({shown}) on {target}"


class _TableFile(Record):
    tools: dict[str, str] = Field(description="versions of what made the table")
    devices: dict[str, str] = Field(description="device by target")
    units: tuple[Entry, ...]


class AreaTable:
    """Synthesized units by name.

    Attributes:
        path: where the table was read from.
        entries: in the order of the file.
    """

    def __init__(self, path: Path, entries: tuple[Entry, ...]) -> None:
        self.path = path
        self.entries = {entry.key: entry for entry in entries}

    def of(self, machine: Machine[Any], target: Target) -> dict[str, Any]:
        """The values of `AREA_COLUMNS`: units times how often the design has them, summed.

        `clock_hz_max` is the Fmax of the slowest unit (out of context: wires between units and
        the size of the device are not in it), or None where a unit has none.

        Raises:
            InputError: a unit of the design is not in the table, or the family has no RTL.
        """
        totals = dict.fromkeys(("lut", "ff", "dsp"), 0)
        clocks: list[float | None] = []
        for part in parts_of(machine):
            key = entry_key(part.unit, part.parameters, target)
            entry = self.entries.get(key)
            if entry is None:
                raise InputError(
                    f"{self.path}: no synthesized {key}; '{RECIPE} SPACE.yaml -o FILE.yaml' "
                    "makes the table of a space (area.table: FILE.yaml uses it)"
                )
            for column in totals:
                totals[column] += part.count * getattr(entry, column)
            clocks.append(entry.fmax_hz)
        known = [clock for clock in clocks if clock is not None]
        return {**totals, "clock_hz_max": min(known) if len(known) == len(clocks) else None}


def read_table(path: Path | None = None) -> AreaTable:
    """Read a table; by default the one that is shipped.

    Raises:
        InputError: unreadable, not YAML, or not a table.
    """
    path = path or SHIPPED
    content = checked(_TableFile, read_yaml_mapping(path, "tools, devices, units"), str(path))
    assert isinstance(content, _TableFile)
    return AreaTable(path, content.units)
