"""Memories of a netlist module: their size, what they begin with, and the C++ that writes them."""

from __future__ import annotations

from collections.abc import Iterable

from hw.cosim.lanes.netlist import Cell
from hw.cosim.lanes.operators import WordCode
from hw.cosim.lanes.wiring import STORED_BITS, memory_address, word_slice


def memory_size(memory: Cell) -> tuple[int, int]:
    """Words (all that the address can name) and 32-bit words in each."""
    return 1 << memory.parameters["ABITS"], -(-memory.parameters["WIDTH"] // STORED_BITS)


def memory_start(memory: Cell, name: str) -> Iterable[str]:
    """A table of the words that a memory begins with, where they are not all zeros (a ROM)."""
    chunks = memory_size(memory)[1]
    if not memory.parameters["INIT"]:
        return
    words = ", ".join(
        f"{{{', '.join(f'{_chunk(memory, word, chunk):#x}u' for chunk in range(chunks))}}}"
        for word in range(memory.parameters["SIZE"])
    )
    yield f"static const uint32_t {name}_start[][{chunks}] = {{{words}}};"


def _chunk(memory: Cell, word: int, chunk: int) -> int:
    width = memory.parameters["WIDTH"]
    size = min(STORED_BITS, width - STORED_BITS * chunk)
    bits = memory.parameters["INIT"] >> (width * word + STORED_BITS * chunk) & ((1 << size) - 1)
    return 0xFFFFFFFF * bits if size == 1 else bits  # one bit is a truth value


def memory_cleared(memory: Cell, name: str, in_lanes: bool = False) -> Iterable[str]:
    """The statements before the first clock; a part's memory has words in each lane."""
    yield f"memset({name}, 0, sizeof {name});"
    if memory.parameters["INIT"]:
        each, place = (f"for (auto& one : {name}) ", "one") if in_lanes else ("", name)
        yield f"{each}memcpy({place}, {name}_start, sizeof {name}_start);"


def memory_writes(code: WordCode, cell: Cell, memory: str, lanes: bool) -> list[str]:
    """The statements of the write ports; operands go to `code` before they are yielded."""
    numbers = cell.parameters
    width = numbers["WIDTH"]
    kind = "Lanes" if lanes else "uint32_t"
    lines: list[str] = []
    for port in range(numbers["WR_PORTS"]):
        address = code.word(memory_address(cell, "WR", port)).text
        data = cell.pins["WR_DATA"][port * width : (port + 1) * width]
        enable = cell.pins["WR_EN"][port * width : (port + 1) * width]
        chunks = range(-(-width // STORED_BITS))
        masks = [code.word(word_slice(enable, chunk)).text for chunk in chunks]
        words = [code.word(word_slice(data, chunk)).text for chunk in chunks]
        lines.append("{")
        lines.append(f"  const {kind} masks[] = {{{', '.join(masks)}}};")
        lines.append(f"  if (any({' | '.join(f'masks[{i}]' for i in chunks)})) {{")
        lines.append(f"    const {kind} at = {address}, words[] = {{{', '.join(words)}}};")
        inside = f"< {numbers['SIZE']}"
        if lanes:
            lines.append(f"    for (int i = 0; i < LANES; ++i) if (at[i] {inside})")
            lines.append(f"      for (int c = 0; c < {len(chunks)}; ++c) {{")
            lines.append(f"        uint32_t& old = {memory}[lane + i][at[i]][c];")
            lines.append("        old ^= (old ^ words[c][i]) & masks[c][i];")
        else:
            lines.append(f"    if (at {inside}) for (int c = 0; c < {len(chunks)}; ++c) {{")
            lines.append(f"        uint32_t& old = {memory}[at][c];")
            lines.append("        old ^= (old ^ words[c]) & masks[c];")
        lines += ["      }", "  }", "}"]
    return lines


__all__ = ["memory_cleared", "memory_size", "memory_start", "memory_writes"]
