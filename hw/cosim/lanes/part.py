"""C++ that steps all instances of a part, a vector of lanes after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hw.cosim.lanes.layout import WIDEST_VECTOR, Field, Gathered, Layout, Uniform, fields
from hw.cosim.lanes.memories import memory_cleared, memory_size, memory_start, memory_writes
from hw.cosim.lanes.netlist import Bit, Bits, Cell, NetlistModule
from hw.cosim.lanes.operators import WordCode
from hw.cosim.lanes.wiring import StoredWord, Wiring, word_slice


class PartCode:
    """The functions and arrays of one part.

    Parameters
    ----------
    module
        the part
    prefix
        of its names in the program
    layout
        lanes and feeds of all parts
    parts
        all parts by name, this one too once they are all made
    """

    def __init__(
        self, module: NetlistModule, prefix: str, layout: Layout, parts: Mapping[str, PartCode]
    ):
        self.name, self.prefix = module.name, prefix
        self._module, self._layout, self._parts = module, layout, parts
        self._wiring = Wiring(module)
        self._registers = self._wiring.registers()
        self._memories = self._wiring.memories()
        self.lanes = layout.blocks(module.name) * WIDEST_VECTOR
        self._place = {register.stored: i for i, register in enumerate(self._registers)}
        #: Output fields that are a register (one of each: free lanes hold what a field is fed from
        #: outside), and those that are computed.
        self.held: dict[Field, int] = {}
        self.computed: dict[Field, Bits] = {}
        for field in fields(self.name, self._module, "outputs"):
            bits = word_slice(self._module.outputs[field.port], field.chunk)
            word = self._wiring.whole_word(bits)
            if word in self._place and self._place[word] not in self.held.values():
                self.held[field] = self._place[word]
            else:
                self.computed[field] = bits
        feeds = {f: feed for f, feed in layout.feeds.items() if f.part == self.name}
        gathered = (f for f, feed in feeds.items() if isinstance(feed, Gathered))
        uniform = (f for f, feed in feeds.items() if isinstance(feed, Uniform))
        self._gathered = {field: i for i, field in enumerate(gathered)}
        self._uniform = {field: i for i, field in enumerate(uniform)}

    # Where things are -------------------------------------------------------------------------

    def word_of(self, field: Field, lane: str) -> str:
        """The array element of an output field; `lane` counts from 0."""
        length, before = self._layout.length, self._layout.before
        if field in self.held:
            return f"{self.prefix}_now[{self.held[field] * length + before} + {lane}]"
        place = list(self.computed).index(field)
        return f"{self.prefix}_outputs[{place * length + before} + {lane}]"

    def input_word(self, field: Field, lane: str) -> str:
        """The array element that an input field which is not fed by a neighbour is written to."""
        if field in self._uniform:
            return f"{self.prefix}_uniform[{self._uniform[field]}]"
        length, before = self._layout.length, self._layout.before
        return f"{self.prefix}_gathered[{self._gathered[field] * length + before} + {lane}]"

    def input_deps(self, field: Field) -> frozenset[Field]:
        """The input fields that an output field is computed from."""
        found = self._wiring.stored_below(self.computed.get(field, ()))
        return frozenset(Field(self.name, w.pin, w.chunk) for w in found if not w.owner)

    # Text -------------------------------------------------------------------------------------

    def declarations(self) -> Iterable[str]:
        length = self._layout.length
        sizes = {
            "state": 2 * len(self._registers) * length,
            "outputs": len(self.computed) * length,
            "gathered": len(self._gathered) * length,
            "uniform": len(self._uniform),
        }
        for what, size in sizes.items():
            yield f"alignas(64) static uint32_t {self.prefix}_{what}[{max(1, size)}];"
        yield f"static uint32_t *{self.prefix}_now, *{self.prefix}_next;"
        for i, memory in enumerate(self._memories):
            words, chunks = memory_size(memory)
            name = f"{self.prefix}_memory{i}"
            yield f"static uint32_t {name}[{self.lanes}][{words}][{chunks}];"
            yield from memory_start(memory, name)

    def cleared(self) -> Iterable[str]:
        for what in ("state", "outputs", "gathered"):
            yield f"memset({self.prefix}_{what}, 0, sizeof {self.prefix}_{what});"
        for i, memory in enumerate(self._memories):
            yield from memory_cleared(memory, f"{self.prefix}_memory{i}", in_lanes=True)
        half = len(self._registers) * self._layout.length
        yield f"{self.prefix}_now = {self.prefix}_state;"
        yield f"{self.prefix}_next = {self.prefix}_state + {half};"

    def _code(self, assumed: dict[Bit, str]) -> WordCode:
        return WordCode(self._wiring, "Lanes", "WideLanes", self._read, self._read_memory, assumed)

    def _read(self, word: StoredWord) -> str:
        length, before = self._layout.length, self._layout.before
        if word.owner:
            return f"load(now + {self._place[word] * length + before} + lane)"
        field = Field(self.name, word.pin, word.chunk)
        feed = self._layout.feeds[field]
        if isinstance(feed, Uniform):
            return f"splat<Lanes>({self.input_word(field, '')})"
        if isinstance(feed, Gathered):
            return f"load(&{self.input_word(field, 'lane')})"
        part = self._parts[feed.field.part]
        return f"load(&{part.word_of(feed.field, f'lane + ({feed.offset})')})"

    def _read_memory(self, cell: Cell, address: str, names: Sequence[str]) -> Iterable[str]:
        memory = f"{self.prefix}_memory{self._memories.index(cell)}"
        yield f"alignas(64) uint32_t {names[0]}_at[LANES];"
        yield f"store({names[0]}_at, {address});"
        yield f"alignas(64) uint32_t {names[0]}_read[{len(names)}][LANES];"
        copies = " ".join(f"{names[0]}_read[{i}][i] = from[{i}];" for i in range(len(names)))
        yield (
            f"for (int i = 0; i < LANES; ++i) {{ "
            f"const uint32_t* from = {memory}[lane + i][{names[0]}_at[i]]; {copies} }}"
        )
        for i, name in enumerate(names):
            yield f"const Lanes {name} = load({names[0]}_read[{i}]);"

    def _loop(self, name: str, body: list[str]) -> Iterable[str]:
        yield f"static void {name}() {{"
        yield f"  const uint32_t* const now = {self.prefix}_now; (void)now;"
        yield f"  uint32_t* const next = {self.prefix}_next; (void)next;"
        yield f"  for (int lane = 0; lane < {self.lanes}; lane += LANES) {{"
        yield from (f"    {line}" for line in body)
        yield "  }"
        yield "}"

    def outputs(self, name: str, wanted: Iterable[Field]) -> Iterable[str]:
        """A function that computes these output fields."""
        code = self._code({})
        stores = [
            f"store(&{self.word_of(field, 'lane')}, {code.word(self.computed[field]).text});"
            for field in wanted
        ]
        return self._loop(name, code.lines + stores)

    def step(self) -> Iterable[str]:
        """The function of the clock edge, and one without resets and with all enables high."""
        usual = self._usual()
        yield from self._loop(f"{self.prefix}_step", self._edge({}))
        if usual:
            assumed: dict[Bit, str] = {bit: str(value) for bit, (_, value) in usual.items()}
            yield from self._loop(f"{self.prefix}_usual_step", self._edge(assumed))

    def step_call(self) -> str:
        usual = " && ".join(
            f"{'' if value else '!'}{self.input_word(field, '')}"
            for field, value in self._usual().values()
        )
        if not usual:
            return f"{self.prefix}_step();"
        return f"if ({usual}) {self.prefix}_usual_step(); else {self.prefix}_step();"

    def _usual(self) -> dict[Bit, tuple[Field, int]]:
        """Inputs, one bit for all instances, that enable or reset registers; their usual value."""
        inputs = {
            self._module.inputs[field.port][0]: field
            for field in self._uniform
            if len(self._module.inputs[field.port]) == 1
        }
        found: dict[Bit, tuple[Field, int]] = {}
        for cell, _ in self._registers:
            for pin, low in (("EN", 0), ("SRST", 1)):
                bit = cell.pins.get(pin, ("",))[0]
                if bit in inputs:
                    found[bit] = (inputs[bit], cell.parameters[f"{pin}_POLARITY"] ^ low)
        return found

    def _edge(self, assumed: dict[Bit, str]) -> list[str]:
        length, before = self._layout.length, self._layout.before
        code = self._code(assumed)
        stores = [
            f"store(next + {place * length + before} + lane, {code.next_word(register).text});"
            for place, register in enumerate(self._registers)
        ]
        writes = [
            line
            for i, memory in enumerate(self._memories)
            for line in memory_writes(code, memory, f"{self.prefix}_memory{i}", True)
        ]
        return code.lines + stores + writes


__all__ = ["PartCode"]
