"""C++ expressions for any bits of a netlist module, on the word types of lane_types.h.

The same text serves one instance (words) and many at once (lanes).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from hw.cosim.lanes.netlist import Bit, Bits, Cell
from hw.cosim.lanes.wiring import STORED_BITS, StoredWord, Wiring, memory_address, word_slice
from sparsesim.errors import SparseSimError

#: Bits of the widest word that operators compute on.
WIDEST_WORD = 64


class Word(NamedTuple):
    """A C++ expression of `width` bits, the bits above them zero; a truth value if it is one."""

    text: str
    width: int
    constant: int | None = None


class WordReader(ABC):
    """Writes the statements that compute values of a module, each operator once.

    Parameters
    ----------
    wiring
        of the module
    narrow, wide
        C++ types of up to 32 and of up to 64 bits
    read
        the expression that reads a stored word
    read_memory
        the statements that set variables, one per 32 bits, to a word of a memory
    assumed
        bits that are constant here
    """

    def __init__(
        self,
        wiring: Wiring,
        narrow: str,
        wide: str,
        read: Callable[[StoredWord], str],
        read_memory: Callable[[Cell, str, Sequence[str]], Iterable[str]],
        assumed: Mapping[Bit, str] | None = None,
    ):
        self.lines: list[str] = []
        self._wiring = wiring
        self._narrow, self._wide = narrow, wide
        self._read, self._read_memory = read, read_memory
        self._assumed = assumed or {}
        self._known: dict[tuple[str, str, int], Word] = {}
        self._begun: set[tuple[str, str, int]] = set()

    # Words of any bits ------------------------------------------------------------------------

    def word(self, bits: Bits) -> Word:
        """The value of up to 64 bits, from the least significant on."""
        width = len(bits)
        if width > WIDEST_WORD:
            raise self._unsupported(f"an operand of {width} bits")
        now: list[Bit] = [self._assumed.get(bit, bit) for bit in bits]
        constant = sum(1 << i for i, bit in enumerate(now) if bit == "1")
        if all(isinstance(bit, str) for bit in now):
            return self._constant(constant, width)
        if width == 1:
            return self._truth(now[0])
        pieces = list(self._pieces(now))
        first = pieces[0][0]
        span = pieces[-1][0] + pieces[-1][1] - first
        if width <= STORED_BITS:
            text = " | ".join(self._piece(*piece) for piece in pieces)
        elif span <= STORED_BITS and all(word.width <= STORED_BITS for _, _, word, _ in pieces):
            joined = (self._piece(at - first, size, word, low) for at, size, word, low in pieces)
            text = f"(widen({' | '.join(joined)}) << {first})"
        else:
            text = " | ".join(self._wide_piece(*piece) for piece in pieces)
        if constant:
            text += f" | {self._constant(constant, width).text}"
        return Word(f"({text})", width)

    def _pieces(self, bits: Sequence[Bit]) -> Iterable[tuple[int, int, Word, int]]:
        """Runs of bits that are neighbours in a word too: place, length, word, place there.

        A bit that is repeated (a sign) is one run too, of a truth value.
        """
        at = 0
        while at < len(bits):
            bit, end = bits[at], at + 1
            if isinstance(bit, str):
                at = end
                continue
            while end < len(bits) and bits[end] == bit:
                end += 1
            if end > at + 1:
                yield at, end - at, self._truth(bit), 0
            else:
                word, offset = self._atom(bit)
                while end < len(bits) and not isinstance(bits[end], str):
                    other, there = self._atom(bits[end])
                    if other is not word or there != offset + end - at:
                        break
                    end += 1
                yield at, end - at, word, offset
            at = end

    def _piece(self, at: int, length: int, word: Word, offset: int) -> str:
        """`length` bits of `word` from `offset` on, at bit `at` of 32."""
        mask = self._splat((1 << length) - 1 << at)
        if word.width == 1:
            return f"({word.text} & {mask})"
        if word.width > STORED_BITS:
            shifted = f"({word.text} >> {offset})" if offset else word.text
            there = min(word.width - offset, STORED_BITS)
            return self._shifted(f"narrow({shifted})", at, None if length == there else mask)
        if offset + length == word.width and (not at or not offset):
            return self._shifted(word.text, at - offset, None)
        return self._shifted(word.text, at - offset, mask)

    def _wide_piece(self, at: int, length: int, word: Word, offset: int) -> str:
        mask = self._splat((1 << length) - 1 << at, self._wide)
        if word.width == 1:
            return f"(widen_truth({word.text}) & {mask})"
        text = word.text if word.width > STORED_BITS else f"widen({word.text})"
        whole = offset + length == word.width and (not at or not offset)
        return self._shifted(text, at - offset, None if whole else mask)

    @staticmethod
    def _shifted(text: str, left: int, mask: str | None) -> str:
        if left:
            text = f"({text} {'<<' if left > 0 else '>>'} {abs(left)})"
        return f"({text} & {mask})" if mask else text

    def _truth(self, bit: Bit) -> Word:
        word, offset = self._atom(bit)
        if word.width == 1:
            return word
        owner, pin, index = self._wiring.driver(bit)
        key = (owner, f"{pin} bit", index)
        if key not in self._known:
            text = word.text
            if word.width > STORED_BITS:
                text = f"narrow({text} >> {offset})" if offset else f"narrow({text})"
                offset = 0
            zero = self._splat(0)
            test = f"unequal({text} & {self._splat(1 << offset)}, {zero})"
            self._known[key] = self._named(Word(test, 1))
        return self._known[key]

    def _atom(self, bit: Bit) -> tuple[Word, int]:
        """The word that holds a bit, computed or read before, and the bit's place in it."""
        owner, pin, index = self._wiring.driver(bit)
        if self._wiring.is_stored(owner):
            size = STORED_BITS
            make = self._stored
        else:
            cell = self._wiring.cells[owner]
            if pin == "RD_DATA":
                return self._memory_word(cell, index)
            size = WIDEST_WORD if len(cell.pins[pin]) <= WIDEST_WORD else STORED_BITS
            make = self._operator
        key = (owner, pin, index // size)
        if key not in self._known:
            self._begin(key)
            self._known[key] = self._named(make(owner, pin, index // size))
        return self._known[key], index % size

    def _begin(self, key: tuple[str, str, int]) -> None:
        """Note that a word is being written, which is when nothing may ask for it."""
        if key in self._begun:
            raise self._unsupported("a combinational loop")
        self._begun.add(key)

    @abstractmethod
    def _operator(self, owner: str, pin: str, chunk: int) -> Word:
        """What an operator computes: up to 64 bits, or 32 bits of a wider result."""

    def _stored(self, owner: str, pin: str, chunk: int) -> Word:
        bits = self._wiring.module.inputs if not owner else self._wiring.cells[owner].pins
        return Word(self._read(StoredWord(owner, pin, chunk)), len(word_slice(bits[pin], chunk)))

    def _memory_word(self, cell: Cell, index: int) -> tuple[Word, int]:
        width = cell.parameters["WIDTH"]
        port, place = divmod(index, width)
        if cell.parameters["RD_CLK_ENABLE"] >> port & 1:
            raise self._unsupported("a clocked read port")
        if (cell.name, f"RD{port}", 0) not in self._known:
            self._begin((cell.name, f"RD{port}", 0))
            address = self.word(memory_address(cell, "RD", port))
            names = []
            for chunk in range(-(-width // STORED_BITS)):
                word = Word(f"n{len(self._known)}", min(STORED_BITS, width - STORED_BITS * chunk))
                self._known[cell.name, f"RD{port}", chunk] = word
                names.append(word.text)
            self.lines += self._read_memory(cell, address.text, names)
        word = self._known[cell.name, f"RD{port}", place // STORED_BITS]
        return word, place % STORED_BITS

    def _named(self, word: Word) -> Word:
        if word.constant is not None:
            return word
        name = f"n{len(self._known)}"
        kind = self._narrow if word.width <= STORED_BITS else self._wide
        self.lines.append(f"const {kind} {name} = {word.text};")
        return Word(name, word.width)

    def _constant(self, value: int, width: int) -> Word:
        if width == 1:
            return Word(self._splat(0xFFFFFFFF if value else 0), 1, value)
        kind = self._narrow if width <= STORED_BITS else self._wide
        return Word(self._splat(value, kind), width, value)

    def _splat(self, value: int, kind: str | None = None) -> str:
        return f"splat<{kind or self._narrow}>({value:#x}ull)"

    def _unsupported(self, what: str) -> SparseSimError:
        return self._wiring.unsupported(what)


__all__ = ["WIDEST_WORD", "Word", "WordReader"]
