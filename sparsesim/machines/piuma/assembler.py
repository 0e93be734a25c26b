"""Assembly text to instruction words.

One instruction a line, operands separated by commas, `;` starts a comment, `name:` is a label.
Registers have names: one is taken when a name is first written. `.scope a, b` forgets all names but
the arguments, a and b; the code below it gets the other registers anew. CAPITALS are link-time
constants (addresses, sizes). Memory operands are sums of at most two registers, constants and
numbers: `A_VALUE + k + 1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sparsesim.machines.piuma import isa

_ALU = {"add", "sub", "mul", "and", "or", "xor", "shl", "shr", "min", "max", "fadd", "fmul"}
_BRANCHES = {"beq", "bne", "blt", "bge"}
#: Register 0 is zero.
_FREE = tuple(range(isa.REGISTERS - 1, 0, -1))
_TERM = re.compile(r"\s*([+-])\s*")


class AssemblyError(ValueError):
    """A kernel's text is wrong: a mistake in this package, not of a user."""


@dataclass(frozen=True)
class Program:
    """Assembled kernel.

    Attributes:
        code: (instructions, 8) int32.
        labels: instruction numbers.
        registers: numbers of the registers that hold arguments at the start.
    """

    code: npt.NDArray[np.int32]
    labels: Mapping[str, int]
    registers: Mapping[str, int]


@dataclass
class _State:
    constants: Mapping[str, int]
    names: dict[str, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=lambda: list(_FREE))
    line: str = ""

    def fail(self, why: str) -> AssemblyError:
        return AssemblyError(f"{self.line.strip()!r}: {why}")

    def written(self, name: str) -> int:
        if name not in self.names:
            if not re.fullmatch(r"[a-z]\w*", name):
                raise self.fail(f"{name!r} is no register name")
            if not self.free:
                raise self.fail("no register is left")
            self.names[name] = self.free.pop()
        return self.names[name]

    def read(self, name: str) -> int:
        if name == "zero":
            return 0
        if name not in self.names:
            raise self.fail(f"register {name!r} is read before it is written")
        return self.names[name]

    def forget(self, kept: Iterable[str]) -> None:
        self.names = {name: self.read(name) for name in kept}
        self.free = [number for number in _FREE if number not in self.names.values()]

    def total(self, text: str) -> tuple[list[int], int]:
        """Registers and immediate of a sum of terms."""
        registers, immediate, sign = [], 0, 1
        for part in _TERM.split(text.strip()):
            if part in "+-":
                sign = -1 if part == "-" else 1
            elif part in self.constants:
                immediate += sign * self.constants[part]
            elif re.fullmatch(r"\d+", part):
                immediate += sign * int(part)
            elif sign < 0:
                raise self.fail("a register cannot be subtracted in an operand")
            else:
                registers.append(self.read(part))
            if part not in "+-":
                sign = 1
        if not -(2**31) <= immediate < 2**31:
            raise self.fail(f"immediate {immediate} does not fit 32 bits")
        return registers, immediate

    def address(self, text: str) -> dict[int, int]:
        registers, immediate = self.total(text)
        if len(registers) > 2:
            raise self.fail("an address has at most two registers")
        registers += [0] * (2 - len(registers))
        return {isa.RA: registers[0], isa.RB: registers[1], isa.IMM: immediate}

    def operand(self, text: str) -> dict[int, int]:
        """The second operand of an ALU instruction or a branch."""
        registers, immediate = self.total(text)
        if len(registers) > 1:
            raise self.fail("an operand has at most one register")
        return {isa.RB: registers[0] if registers else 0, isa.IMM: immediate}


def assemble(text: str, arguments: Iterable[str], constants: Mapping[str, int]) -> Program:
    """Assemble `text`.

    Args:
        text: the program.
        arguments: registers that are set when a thread starts.
        constants: value of each name in capitals.

    Raises:
        AssemblyError: an unknown mnemonic, register, constant or label, or too many registers.
    """
    state = _State(constants)
    registers = {name: state.written(name) for name in arguments}
    labels: dict[str, int] = {}
    rows: list[dict[int, int]] = []
    jumps: list[tuple[int, str, str]] = []
    for line in text.splitlines():
        state.line = line
        body = line.partition(";")[0].strip()
        while (match := re.match(r"(\w+):\s*", body)) is not None:
            if match[1] in labels:
                raise state.fail(f"label {match[1]!r} stands twice")
            labels[match[1]] = len(rows)
            body = body[match.end() :]
        if not body:
            continue
        mnemonic, _, rest = body.partition(" ")
        operands = [part.strip() for part in rest.split(",")] if rest.strip() else []
        if mnemonic == ".scope":
            state.forget([*registers, *operands])
            continue
        if mnemonic not in isa.MNEMONICS:
            raise state.fail(f"unknown mnemonic {mnemonic!r}")
        try:
            row, label = _encode(state, mnemonic, operands)
        except (IndexError, KeyError) as error:
            raise state.fail(f"wrong operands ({error})") from None
        if label is not None:
            jumps.append((len(rows), label, line))
        rows.append(row)
    code = np.zeros((len(rows), isa.WORDS), np.int32)
    for number, row in enumerate(rows):
        for place, value in row.items():
            code[number, place] = value
    for number, label, line in jumps:
        if label not in labels:
            raise AssemblyError(f"{line.strip()!r}: unknown label {label!r}")
        code[number, isa.TARGET] = labels[label]
    return Program(code, labels, registers)


def _encode(state: _State, mnemonic: str, operands: list[str]) -> tuple[dict[int, int], str | None]:
    """Words of one instruction, and the label it names. Reads come before the write."""
    row = {isa.OP: isa.MNEMONICS[mnemonic]}
    if mnemonic in _ALU:
        row |= {isa.RA: state.read(operands[1])} | state.operand(operands[2])
        row[isa.RD] = state.written(operands[0])
    elif mnemonic == "log2":
        row[isa.RA] = state.read(operands[1])
        row[isa.RD] = state.written(operands[0])
    elif mnemonic == "fma":
        row |= {
            isa.RA: state.read(operands[1]),
            isa.RB: state.read(operands[2]),
            isa.RC: state.read(operands[3]),
        }
        row[isa.RD] = state.written(operands[0])
    elif mnemonic in _BRANCHES:
        row |= {isa.RA: state.read(operands[0])} | state.operand(operands[1])
        return row, operands[2]
    elif mnemonic == "jmp":
        return row, operands[0]
    elif mnemonic == "ld":
        row |= state.address(operands[1])
        row[isa.RD] = state.written(operands[0])
    elif mnemonic in ("st", "afadd"):
        row |= {isa.RC: state.read(operands[0])} | state.address(operands[1])
    elif mnemonic == "aadd":  # aadd old, address, addend
        row |= state.address(operands[1]) | {isa.RC: state.read(operands[2])}
        row[isa.RD] = state.written(operands[0])
    elif mnemonic == "cas":  # cas old, address, expected, new
        row |= state.address(operands[1])
        row |= {isa.TARGET: state.read(operands[2]), isa.RC: state.read(operands[3])}
        row[isa.RD] = state.written(operands[0])
    elif mnemonic == "pop":  # pop number, queue
        row |= {isa.RA: state.operand(operands[1])[isa.RB]}
        row[isa.IMM] = state.operand(operands[1])[isa.IMM]
        row[isa.RD] = state.written(operands[0])
    elif mnemonic == "qset":  # qset queue, first, last
        queue = state.operand(operands[0])
        row |= {isa.RA: queue[isa.RB], isa.IMM: queue[isa.IMM]}
        row |= {isa.RB: state.read(operands[1]), isa.RC: state.read(operands[2])}
    elif mnemonic == "dma":  # dma mode, from or value, to, words[, stride or index]
        row |= {
            isa.IMM: isa.DMA_MODES[operands[0]],
            isa.RA: state.read(operands[1]),
            isa.RB: state.read(operands[2]),
            isa.RC: state.read(operands[3]),
            isa.TARGET: state.read(operands[4]) if len(operands) > 4 else 0,
        }
    elif mnemonic in ("barrier", "mark", "trap"):
        row[isa.IMM] = state.operand(operands[0])[isa.IMM]
    return row, None
