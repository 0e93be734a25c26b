"""The ports of a component as they appear in Verilog: flat, with plain names."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Port(NamedTuple):
    """One Verilog port; `width` in bits."""

    name: str
    direction: Literal["input", "output"]
    width: int


#: Amaranth adds these two to every component with registers: active high, synchronous.
CLOCK = Port("clk", "input", 1)
RESET = Port("rst", "input", 1)


def port_values(component: Any) -> dict[Port, Any]:
    """Map each port of a `wiring.Component` to its Amaranth value, in signature order.

    Nested names are joined by one underscore: the member `mac` of `op_i` is `op_i_mac`.
    """
    from amaranth.hdl import Value
    from amaranth.lib.wiring import In

    ports: dict[Port, Any] = {}
    for path, member, value in component.signature.flatten(component):
        signal = Value.cast(value)
        direction: Literal["input", "output"] = "input" if member.flow == In else "output"
        ports[Port("_".join(map(str, path)), direction, len(signal))] = signal
    return ports
