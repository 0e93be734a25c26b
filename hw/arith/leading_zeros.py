"""Normalisation: the leading one of a word is brought to its top bit."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value


def normalise(m: Module, name: str, value: Value) -> tuple[Value, Value]:
    """Shift `value` left until its top bit is one, halving the distance stage by stage.

    Returns:
        The shifted word (as wide as `value`) and the number of leading zeros that were shifted
        out. Both are meaningless where `value` is zero.
    """
    zeros: list[Value] = []
    distance = 1 << (len(value) - 1).bit_length() - 1
    while distance:
        empty = Signal(name=f"{name}_zeros_{distance}")
        shifted = Signal(len(value), name=f"{name}_by_{distance}")
        m.d.comb += [
            empty.eq(~value[len(value) - distance :].any()),
            shifted.eq(Mux(empty, Cat(Const(0, distance), value), value)),
        ]
        zeros.insert(0, empty)
        value = shifted
        distance //= 2
    return value, Cat(*zeros)
