"""AXI4-Stream wrappers: a unit with ready/valid streams behind the names vendors' tools infer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hw.component_ports import CLOCK, RESET, Port


class AxiStream(NamedTuple):
    """One stream: its fields lie in TDATA, the first in the low bits, padded to whole bytes."""

    name: str
    slave: bool
    fields: tuple[Port, ...]
    last: Port | None

    @property
    def data_bits(self) -> int:
        return max(8, -(-sum(field.width for field in self.fields) // 8) * 8)

    @property
    def prefix(self) -> str:
        return f"{'s' if self.slave else 'm'}_axis_{self.name}"


def streams_of(ports: Sequence[Port]) -> list[AxiStream]:
    """The streams among the ports of a unit: groups with `<name>_valid` and `<name>_ready`."""
    names = {port.name for port in ports}
    found = []
    for port in ports:
        name = port.name.removesuffix("_valid")
        if port.name == name or f"{name}_ready" not in names:
            continue
        fields = [
            other
            for other in ports
            if other.name.startswith(f"{name}_")
            and other.name not in (f"{name}_valid", f"{name}_ready")
            and other.direction == port.direction
        ]
        # A wider field of that name is data.
        last = next((f for f in fields if f.name == f"{name}_last" and f.width == 1), None)
        rest = tuple(field for field in fields if field is not last)
        found.append(AxiStream(name, port.direction == "input", rest, last))
    return found


def wrapper(top: str, ports: Sequence[Port]) -> str:
    """Verilog of module `<top>_axis`; ports that belong to no stream keep their names."""
    streams = streams_of(ports)
    in_stream = {
        name
        for stream in streams
        for name in (
            f"{stream.name}_valid",
            f"{stream.name}_ready",
            *(field.name for field in stream.fields),
            *([stream.last.name] if stream.last else []),
        )
    }
    plain = [p for p in ports if p.name not in in_stream and p not in (CLOCK, RESET)]
    declared = ["input aclk", "input aresetn"]
    wires: list[str] = []
    connections = [(CLOCK.name, "aclk"), (RESET.name, "~aresetn")]
    for stream in streams:
        ours, theirs = ("input", "output") if stream.slave else ("output", "input")
        bits = stream.data_bits
        declared += [
            f"{ours} [{bits - 1}:0] {stream.prefix}_tdata",
            f"{ours} {stream.prefix}_tvalid",
            f"{theirs} {stream.prefix}_tready",
        ]
        connections += [
            (f"{stream.name}_valid", f"{stream.prefix}_tvalid"),
            (f"{stream.name}_ready", f"{stream.prefix}_tready"),
        ]
        if stream.last:
            declared.append(f"{ours} {stream.prefix}_tlast")
            connections.append((stream.last.name, f"{stream.prefix}_tlast"))
        low = 0
        for field in stream.fields:
            where = f"[{low + field.width - 1}:{low}]"
            connections.append((field.name, f"{stream.prefix}_tdata{where}"))
            low += field.width
        if low < bits and not stream.slave:
            wires.append(f"  assign {stream.prefix}_tdata[{bits - 1}:{low}] = {bits - low}'d0;")
    for port in plain:
        width = f"[{port.width - 1}:0] " if port.width > 1 else ""
        declared.append(f"{port.direction} {width}{port.name}")
        connections.append((port.name, port.name))
    header = ",\n".join(f"  {text}" for text in declared)
    body = ",\n".join(f"    .{name}({value})" for name, value in connections)
    padding = "".join(f"{wire}\n" for wire in wires)
    return f"module {top}_axis (\n{header}\n);\n{padding}  {top} unit (\n{body}\n  );\nendmodule\n"


__all__ = ["AxiStream", "streams_of", "wrapper"]
