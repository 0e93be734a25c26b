"""Values on ports over time, packed into 32-bit words: what goes into and out of a simulator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hw.component_ports import Port

#: Port name -> values of T clocks, shape (T,), or (T, elements) with element 0 in the low bits
#: (booleans: one bit each).
Trace = dict[str, npt.NDArray[Any]]
Words = npt.NDArray[np.uint32]


class PortField(NamedTuple):
    """A port and the words of a row that hold it, least significant first."""

    port: Port
    offset: int
    words: int


class WordRow:
    """How the values of some ports lie in one row (one clock) of 32-bit words.

    Every port begins at a word of its own.
    """

    def __init__(self, ports: Iterable[Port]):
        self.fields: list[PortField] = []
        self.words = 0
        for port in ports:
            words = -(-port.width // 32)
            self.fields.append(PortField(port, self.words, words))
            self.words += words

    def pack(self, trace: Mapping[str, npt.NDArray[Any]], clocks: int) -> Words:
        """Rows of shape (clocks, words); a port that `trace` lacks is 0.

        Raises:
            ValueError: `trace` has a port that is not here, or another number of clocks.
        """
        unknown = set(trace) - {field.port.name for field in self.fields}
        if unknown:
            raise ValueError(f"no such ports: {', '.join(sorted(unknown))}")
        rows = np.zeros((clocks, self.words), dtype=np.uint32)
        for port, offset, words in self.fields:
            if port.name not in trace:
                continue
            values = np.asarray(trace[port.name])
            if len(values) != clocks:
                raise ValueError(f"{port.name}: {len(values)} clocks, not {clocks}")
            if values.ndim == 1:
                rows[:, offset] = values.astype(np.uint32)
            else:
                if values.dtype == np.bool_:
                    values = np.packbits(values, axis=1, bitorder="little")
                element_bytes = np.ascontiguousarray(values).view(np.uint8).reshape(clocks, -1)
                padded = np.zeros((clocks, 4 * words), dtype=np.uint8)
                padded[:, : element_bytes.shape[1]] = element_bytes
                rows[:, offset : offset + words] = padded.view("<u4")
        return rows

    def unpack(self, rows: Words, elements: Mapping[str, np.dtype[Any]]) -> Trace:
        """Undo `pack`; ports named in `elements` become (T, elements) arrays of that type."""
        trace: Trace = {}
        for port, offset, words in self.fields:
            if port.name in elements:
                kind = elements[port.name]
                raw = np.ascontiguousarray(rows[:, offset : offset + words])
                if kind == np.bool_:
                    bits = np.unpackbits(raw.view(np.uint8), axis=1, bitorder="little")
                    trace[port.name] = bits[:, : port.width]
                else:
                    trace[port.name] = raw.view(kind)[:, : port.width // (8 * kind.itemsize)]
            elif words == 1:
                trace[port.name] = rows[:, offset]
            else:
                raise ValueError(f"{port.name}: {port.width} bits need an element type")
        return trace


def inputs_and_outputs(ports: Sequence[Port]) -> tuple[WordRow, WordRow]:
    """The rows of a unit's inputs and of its outputs."""
    return (
        WordRow(port for port in ports if port.direction == "input"),
        WordRow(port for port in ports if port.direction == "output"),
    )
