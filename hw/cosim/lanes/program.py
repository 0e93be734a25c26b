"""A netlist as a C++ program that steps all instances of a part in vector lanes.

A clock: outputs of parts and values of the top module, each when all it depends on is there; then
the next state of everything, from the state before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

from hw.cosim.lanes.layout import Field, Gathered, Neighbour, Uniform, lay_out
from hw.cosim.lanes.memories import memory_cleared, memory_size, memory_start, memory_writes
from hw.cosim.lanes.netlist import Bits, Cell, Netlist
from hw.cosim.lanes.operators import WordCode
from hw.cosim.lanes.part import PartCode
from hw.cosim.lanes.wiring import STORED_BITS, StoredWord, Wiring, word_slice
from hw.cosim.trace_words import PortField, WordRow
from sparsesim.errors import SparseSimError

#: Python calls that follow a chain of operators down: some ten each.
_DEEPEST = 20_000


def lane_program(netlist: Netlist, inputs: WordRow, outputs: WordRow) -> str:
    """The text of a shared library with a function

    ``void run(uint64_t clocks, const uint32_t* in, uint32_t* out)``

    that simulates from a state of zeros, a row of `inputs` and of `outputs` per clock; outputs are
    sampled before the clock edge.

    Raises:
        SparseSimError: the design has a cell that this simulator has no code for, more than one
            clock edge, or a combinational path from one instance of a part to another.
    """
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, _DEEPEST))
    try:
        return _Program(netlist, inputs, outputs).text()
    except RecursionError:
        raise SparseSimError(f"{netlist.top.name}: its chains of operators are too long") from None
    finally:
        sys.setrecursionlimit(usual)


class _Sink(NamedTuple):
    """An array element that a value is written to; a truth value as 0 or 1 if it leaves the top."""

    element: str
    leaves: bool

    def write(self, text: str, width: int) -> str:
        return f"{self.element} = {text}{' & 1' if self.leaves and width == 1 else ''};"


class _Value(NamedTuple):
    """Bits of the top module, and the computed field in whose free lanes they are then written."""

    bits: Bits
    after: Field | None = None


#: What becomes known in one go: output fields by part, then values of the top module.
_Round = tuple[dict[str, list[Field]], list[tuple[Bits, list[_Sink]]]]


class _Program:
    def __init__(self, netlist: Netlist, inputs: WordRow, outputs: WordRow):
        self.netlist = netlist
        self.wiring = Wiring(netlist.top, netlist.parts)
        self.layout = lay_out(netlist, self.wiring)
        self.parts: dict[str, PartCode] = {}
        for number, (name, module) in enumerate(netlist.parts.items()):
            self.parts[name] = PartCode(module, f"part{number}", self.layout, self.parts)
        self._inputs = {field.port.name: field for field in inputs.fields}
        self._outputs = {field.port.name: field for field in outputs.fields}
        self._rows = (inputs.words, outputs.words)
        self._registers = self.wiring.registers()
        self._memories = self.wiring.memories()
        self._place = {register.stored: i for i, register in enumerate(self._registers)}

    def text(self) -> str:
        functions: list[str] = []
        body = list(self._clock(functions))
        declared = [line for part in self.parts.values() for line in part.declarations()]
        declared.append(f"static uint32_t top_state[2][{max(1, len(self._registers))}];")
        for i, memory in enumerate(self._memories):
            words, chunks = memory_size(memory)
            declared.append(f"static uint32_t top_memory{i}[{words}][{chunks}];")
            declared += memory_start(memory, f"top_memory{i}")
        cleared = [line for part in self.parts.values() for line in part.cleared()]
        cleared.append("memset(top_state, 0, sizeof top_state);")
        for i, memory in enumerate(self._memories):
            cleared += memory_cleared(memory, f"top_memory{i}")
        words_in, words_out = self._rows
        run = [
            'extern "C" void run(uint64_t clocks, const uint32_t* in, uint32_t* out) {',
            *(f"  {line}" for line in cleared),
            "  uint32_t *now = top_state[0], *next = top_state[1];",
            f"  for (uint64_t t = 0; t < clocks; ++t, in += {words_in}, out += {words_out}) {{",
            *(f"    {line}" for line in body),
            "  }",
            "}",
        ]
        header = files("hw.cosim.lanes").joinpath("lane_types.h").read_text(encoding="utf-8")
        return "\n".join([header, *declared, *functions, *run, ""])

    def _clock(self, functions: list[str]) -> Iterable[str]:
        """The statements of one clock; functions of the parts are added to `functions`."""
        code = WordCode(self.wiring, "uint32_t", "uint64_t", self._read, self._read_memory)
        taken = 0

        def fresh() -> Iterable[str]:
            nonlocal taken
            yield from code.lines[taken:]
            taken = len(code.lines)

        for number, (fields_of, values) in enumerate(self._order()):
            for part_name, wanted in fields_of.items():
                name = f"{self.parts[part_name].prefix}_outputs{number}"
                functions += self.parts[part_name].outputs(name, wanted)
                yield f"{name}();"
            for bits, sinks in values:
                text = code.word(bits).text
                yield from fresh()
                yield from (sink.write(text, len(bits)) for sink in sinks)
        next_words = [code.next_word(register).text for register in self._registers]
        writes = [
            line
            for i, memory in enumerate(self._memories)
            for line in memory_writes(code, memory, f"top_memory{i}", False)
        ]
        yield from fresh()
        yield from (f"next[{i}] = {text};" for i, text in enumerate(next_words))
        yield from writes
        for part in self.parts.values():
            functions += part.step()
            yield part.step_call()
        yield "std::swap(now, next);"
        for part in self.parts.values():
            yield f"std::swap({part.prefix}_now, {part.prefix}_next);"

    # What depends on what ---------------------------------------------------------------------

    def _order(self) -> Iterable[_Round]:
        """Rounds of outputs and values; each needs the rounds before only."""
        writes = self._top_values()
        needs_of_value = {
            value: self._fields_below(value.bits) | ({value.after} if value.after else set())
            for value in writes
        }
        values_of_input = self._values_of_inputs()
        done: set[Field] = {field for part in self.parts.values() for field in part.held}
        open_fields = {
            field: part.input_deps(field) for part in self.parts.values() for field in part.computed
        }
        open_values = dict(writes)
        while open_fields or open_values:
            ready_fields: dict[str, list[Field]] = {}
            for field, needed in open_fields.items():
                if all(self._is_fed(f, done, open_values, values_of_input) for f in needed):
                    ready_fields.setdefault(field.part, []).append(field)
            for field in [f for group in ready_fields.values() for f in group]:
                del open_fields[field]
                done.add(field)
            ready = [value for value in open_values if needs_of_value[value] <= done]
            if not ready and not ready_fields:
                stuck = next(iter(open_fields), None)
                at = f"{stuck.part}.{stuck.port}" if stuck else self.netlist.top.name
                raise SparseSimError(f"{at}: a combinational path runs from instance to instance")
            yield ready_fields, [(value.bits, open_values.pop(value)) for value in ready]

    def _is_fed(
        self,
        field: Field,
        done: set[Field],
        open_values: dict[_Value, list[_Sink]],
        values_of_input: dict[Field, list[_Value]],
    ) -> bool:
        feed = self.layout.feeds[field]
        if isinstance(feed, Neighbour) and feed.field not in done:
            return False
        return not any(value in open_values for value in values_of_input[field])

    def _fields_below(self, bits: Bits) -> frozenset[Field]:
        """The outputs of parts that a value of the top module is computed from."""
        found = self.wiring.stored_below(bits)
        cells = self.wiring.cells
        return frozenset(
            Field(cells[w.owner].type, w.pin, w.chunk)
            for w in found
            if w.owner and cells[w.owner].type in self.parts
        )

    def _values_of_inputs(self) -> dict[Field, list[_Value]]:
        return {
            field: [_Value(feed.bits)]
            if isinstance(feed, Uniform)
            else [self._outside_value(feed, outside.bits) for outside in feed.outside]
            for field, feed in self.layout.feeds.items()
        }

    def _outside_value(self, feed: Neighbour | Gathered, bits: Bits) -> _Value:
        if isinstance(feed, Neighbour) and feed.field in self.parts[feed.field.part].computed:
            return _Value(bits, feed.field)
        return _Value(bits)

    def _top_values(self) -> dict[_Value, list[_Sink]]:
        """Values of the top module, and the inputs of instances and outputs they are written to."""
        sinks: dict[_Value, list[_Sink]] = {}
        for field, feed in self.layout.feeds.items():
            part = self.parts[field.part]
            if isinstance(feed, Uniform):
                sink = _Sink(part.input_word(field, ""), False)
                sinks.setdefault(_Value(feed.bits), []).append(sink)
                continue
            for lane, bits in feed.outside:
                at = f"({lane})"
                if isinstance(feed, Neighbour):
                    source = self.parts[feed.field.part]
                    stays_zero = not 0 <= lane < source.lanes
                    if stays_zero and all(bit in ("0", "x", "z") for bit in bits):
                        continue
                    word = source.word_of(feed.field, at)
                else:
                    word = part.input_word(field, at)
                value = self._outside_value(feed, bits)
                sinks.setdefault(value, []).append(_Sink(word, False))
        for port, bits in self.netlist.top.outputs.items():
            _, offset, words = self._outputs[port]
            for chunk in range(words):
                sink = _Sink(f"out[{offset + chunk}]", True)
                sinks.setdefault(_Value(word_slice(bits, chunk)), []).append(sink)
        return sinks

    def _read(self, word: StoredWord) -> str:
        if word in self._place:
            return f"now[{self._place[word]}]"
        if not word.owner:
            return self._input(self._inputs[word.pin], word.chunk)
        cell = self.wiring.cells[word.owner]
        field = Field(cell.type, word.pin, word.chunk)
        return self.parts[cell.type].word_of(field, f"({self.layout.lanes[cell.name]})")

    @staticmethod
    def _input(field: PortField, chunk: int) -> str:
        text = f"in[{field.offset + chunk}]"
        bits = min(STORED_BITS, field.port.width - STORED_BITS * chunk)
        if bits == 1:
            return f"-({text} & 1)"
        return text if bits == STORED_BITS else f"({text} & {(1 << bits) - 1:#x}u)"

    def _read_memory(self, cell: Cell, address: str, names: Sequence[str]) -> Iterable[str]:
        memory = f"top_memory{self._memories.index(cell)}"
        for i, name in enumerate(names):
            yield f"const uint32_t {name} = {memory}[{address}][{i}];"


__all__ = ["lane_program"]
