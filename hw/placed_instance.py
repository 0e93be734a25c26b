"""Instances of modules that are converted once and placed many times."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring

from hw.component_ports import CLOCK, RESET, port_values


def instance(m: Module, module: str, prototype: wiring.Component, name: str) -> Any:
    """Place an instance of `module`, whose ports are those of `prototype`; gives its interface."""
    placed = prototype.signature.create(path=(name,))
    connections: dict[str, Any] = {
        f"i_{CLOCK.name}": ClockSignal(),
        f"i_{RESET.name}": ResetSignal(),
    }
    values = {"_".join(map(str, path)): v for path, _, v in prototype.signature.flatten(placed)}
    for port in port_values(prototype):
        prefix = "i" if port.direction == "input" else "o"
        connections[f"{prefix}_{port.name}"] = values[port.name]
    m.submodules[name] = Instance(module, **connections)
    return placed


__all__ = ["instance"]
