"""Who drives each bit of a netlist module, and what of it is stored from clock to clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hw.component_ports import CLOCK
from hw.cosim.lanes.netlist import Bit, Bits, Cell, NetlistModule
from sparsesim.errors import SparseSimError

#: Stored words (inputs, registers, memories) have at most this many bits.
STORED_BITS = 32

_REGISTERS = {"$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"}
OUTPUT_PINS = {"Y", "Q", "RD_DATA"}


class StoredWord(NamedTuple):
    """32 bits (the highest: fewer) of an input (`owner` empty), a register or a part's output."""

    owner: str
    pin: str
    chunk: int


class Register(NamedTuple):
    """One stored word of a register."""

    cell: Cell
    chunk: int

    @property
    def stored(self) -> StoredWord:
        return StoredWord(self.cell.name, "Q", self.chunk)


class Wiring:
    """Who drives each bit of a module."""

    def __init__(self, module: NetlistModule, parts: Mapping[str, NetlistModule] | None = None):
        self.module = module
        self.cells = {cell.name: cell for cell in module.cells}
        self._drivers: dict[Bit, tuple[str, str, int]] = {}
        self._below: dict[tuple[str, str, int], frozenset[StoredWord] | None] = {}
        self._clock = module.inputs.get(CLOCK.name)
        for port, bits in module.inputs.items():
            self._drive("", port, bits)
        for cell in module.cells:
            outputs = parts[cell.type].outputs if parts and cell.type in parts else OUTPUT_PINS
            for pin, bits in cell.pins.items():
                if pin in outputs:
                    self._drive(cell.name, pin, bits)

    def _drive(self, owner: str, pin: str, bits: Bits) -> None:
        for index, bit in enumerate(bits):
            if not isinstance(bit, str):
                self._drivers[bit] = (owner, pin, index)

    def driver(self, bit: Bit) -> tuple[str, str, int]:
        """The cell (or "" for the module's inputs), the pin and the bit's place in it.

        Raises:
            SparseSimError: nothing drives it, or it is the clock.
        """
        if bit not in self._drivers:
            raise SparseSimError(f"{self.module.name}: wire {bit} has no driver")
        if (bit,) == self._clock:
            raise self.unsupported("a clock that is also data")
        return self._drivers[bit]

    def unsupported(self, what: str) -> SparseSimError:
        return SparseSimError(f"{self.module.name}: {what} cannot be simulated in lanes")

    def check_clock(self, what: str, clock: Bits, rising: bool = True) -> None:
        """Refuse what is not clocked by the rising edge of the module's clock.

        Raises:
            SparseSimError: `what` has another clock.
        """
        if not rising:
            raise self.unsupported(f"{what} with a falling clock")
        if clock != self._clock:
            raise self.unsupported(f"{what} with another clock than {CLOCK.name}")

    def is_stored(self, owner: str) -> bool:
        """Whether the outputs of a cell are stored: they are read, not computed."""
        return not owner or not self.cells[owner].type.startswith("$") or self.is_register(owner)

    def is_register(self, owner: str) -> bool:
        return bool(owner) and self.cells[owner].type in _REGISTERS

    def registers(self) -> list[Register]:
        """The words of all registers.

        Raises:
            SparseSimError: a register that is not clocked by the rising edge of the clock.
        """
        found = []
        for cell in self.module.cells:
            if cell.type in _REGISTERS:
                rising = cell.parameters["CLK_POLARITY"] == 1
                self.check_clock("a register", cell.pins["CLK"], rising)
                width = len(cell.pins["Q"])
                found += [Register(cell, chunk) for chunk in range(-(-width // STORED_BITS))]
        return found

    def memories(self) -> list[Cell]:
        """The memories.

        Raises:
            SparseSimError: a memory that is not written at the rising edge of the clock, or that
                does not begin at address 0.
        """
        found = [cell for cell in self.module.cells if cell.type == "$mem_v2"]
        for cell in found:
            if cell.parameters["OFFSET"]:
                raise self.unsupported("a memory that does not begin at address 0")
            for port in range(cell.parameters["WR_PORTS"]):
                if not cell.parameters["WR_CLK_ENABLE"] >> port & 1:
                    raise self.unsupported("a memory written without a clock")
                rising = bool(cell.parameters["WR_CLK_POLARITY"] >> port & 1)
                self.check_clock("a memory", cell.pins["WR_CLK"][port : port + 1], rising)
        return found

    def whole_word(self, bits: Bits) -> StoredWord | None:
        """The stored word that these bits are, in order and without a rest, or None."""
        if any(isinstance(bit, str) for bit in bits):
            return None
        owner, pin, index = self.driver(bits[0])
        if index % STORED_BITS or not self.is_stored(owner):
            return None
        source = self._pin(owner, pin)
        last = min(index + STORED_BITS, len(source))
        return StoredWord(owner, pin, index // STORED_BITS) if source[index:last] == bits else None

    def stored_below(self, bits: Iterable[Bit]) -> frozenset[StoredWord]:
        """The stored words that a combinational value is computed from.

        Raises:
            SparseSimError: it is computed from itself.
        """
        found: set[StoredWord] = set()
        for bit in set(bits):
            if isinstance(bit, str):
                continue
            owner, pin, index = self.driver(bit)
            if self.is_stored(owner):
                found.add(StoredWord(owner, pin, index // STORED_BITS))
                continue
            cell = self.cells[owner]
            memory = cell.type == "$mem_v2"
            key = (owner, pin, index // cell.parameters["WIDTH"] if memory else 0)
            if key not in self._below:
                self._below[key] = None
                if memory:
                    self._below[key] = self.stored_below(memory_address(cell, "RD", key[2]))
                else:
                    pins = set(cell.pins) - OUTPUT_PINS - {"CLK"}
                    self._below[key] = self.stored_below(b for p in pins for b in cell.pins[p])
            below = self._below[key]
            if below is None:
                raise self.unsupported("a combinational loop")
            found |= below
        return frozenset(found)

    def _pin(self, owner: str, pin: str) -> Bits:
        return self.cells[owner].pins[pin] if owner else self.module.inputs[pin]


def word_slice(bits: Bits, chunk: int) -> Bits:
    """The bits of one stored word of a port or pin."""
    return bits[STORED_BITS * chunk : STORED_BITS * (chunk + 1)]


def memory_address(cell: Cell, side: str, port: int) -> Bits:
    """The address bits of a read (``RD``) or write (``WR``) port of a memory; a number, so two."""
    bits = cell.parameters["ABITS"]
    return (*cell.pins[f"{side}_ADDR"][port * bits : (port + 1) * bits], "0")


__all__ = ["STORED_BITS", "Register", "StoredWord", "Wiring", "memory_address", "word_slice"]
