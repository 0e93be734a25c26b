"""Ready/valid streams with one port per payload field."""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class StreamSignature(wiring.Signature):
    """A stream seen from its source: `valid` and the fields go out, `ready` comes in.

    A word moves in a clock in which both `valid` and `ready` are high. `valid` does not wait for
    `ready`; a word that stands stays until it is taken.
    """

    def __init__(self, fields: dict[str, Any]):
        super().__init__(
            {
                "valid": Out(1),
                "ready": In(1),
                **{name: Out(shape) for name, shape in fields.items()},
            }
        )


__all__ = ["StreamSignature"]
