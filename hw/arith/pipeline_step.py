"""What one step of an operator hands to the next, in registers or not."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

from amaranth.hdl import Module, Shape, Signal, ValueLike


def step_outcome(
    m: Module, step: str, registered: bool, **fields: tuple[int | Shape, ValueLike]
) -> SimpleNamespace:
    """Signals by the names of `fields` (shape, value), called ``{step}_{field}`` in the netlist.

    They are data and need no reset: what is read before it was computed is nobody's result.
    """
    outcome = SimpleNamespace()
    domain = m.d.sync if registered else m.d.comb
    for field, (shape, value) in fields.items():
        signal = Signal(shape, name=f"{step}_{field}", reset_less=True)
        domain += signal.eq(value)
        setattr(outcome, field, signal)
    return outcome


def passed(outcome: SimpleNamespace, *names: str) -> Mapping[str, tuple[Shape, Signal]]:
    """Fields that a step hands on as it found them."""
    return {name: (getattr(outcome, name).shape(), getattr(outcome, name)) for name in names}
