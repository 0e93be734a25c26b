"""Where the instances of a part lie in vector lanes, and how each of their inputs is fed.

In a systolic array most instances are fed by a neighbour: by the same field some lanes before. A
free lane stands where a row begins, for what its first instance is fed from outside; so that field
is read with one offset in all lanes, and nothing is copied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hw.component_ports import CLOCK
from hw.cosim.lanes.netlist import Bits, Cell, Netlist, NetlistModule
from hw.cosim.lanes.wiring import STORED_BITS, Wiring, word_slice

#: The most instances that one vector holds, on any processor.
WIDEST_VECTOR = 16


class Field(NamedTuple):
    """32 bits (the highest: fewer) of a port of a part."""

    part: str
    port: str
    chunk: int


class Outside(NamedTuple):
    """Bits of the top module that are written to a lane before the clock."""

    lane: int
    bits: Bits


class Uniform(NamedTuple):
    """The same bits for all instances."""

    bits: Bits


class Neighbour(NamedTuple):
    """`field` of a part, `offset` lanes further; `outside` goes to lanes that hold no instance."""

    field: Field
    offset: int
    outside: list[Outside]


class Gathered(NamedTuple):
    """Lane by lane from the top module."""

    outside: list[Outside]


Feed = Uniform | Neighbour | Gathered


class Layout(NamedTuple):
    """Lanes by instance, instances by part, and the feed of each input field.

    `lanes` count from 0; words of a part lie from `-before` to `length - before` (exclusive).
    """

    lanes: dict[str, int]
    instances: dict[str, list[Cell]]
    feeds: dict[Field, Feed]
    before: int
    length: int

    def blocks(self, part: str) -> int:
        """Vectors that the instances of a part take."""
        return max(self.lanes[cell.name] for cell in self.instances[part]) // WIDEST_VECTOR + 1


def lay_out(netlist: Netlist, wiring: Wiring) -> Layout:
    """Give each instance a lane and each input a feed; `wiring` is the top module's."""
    instances: dict[str, list[Cell]] = {part: [] for part in netlist.parts}
    for cell in netlist.top.cells:
        if cell.type in instances:
            instances[cell.type].append(cell)
    for cells in instances.values():
        for cell in cells:
            if CLOCK.name in cell.pins:
                wiring.check_clock(f"instance {cell.name}", cell.pins[CLOCK.name])
        cells.sort(key=lambda cell: _in_order(cell.name))
    fed = {
        field: [_source(netlist, wiring, field, cell) for cell in instances[part]]
        for part, module in netlist.parts.items()
        for field in fields(part, module, "inputs")
    }
    lanes = {
        name: lane
        for part, cells in instances.items()
        for name, lane in _lanes(part, cells, fed).items()
    }
    taken = {(cell.type, lanes[cell.name]) for cells in instances.values() for cell in cells}
    placed: dict[tuple[Field, int], Bits] = {}
    feeds = {
        field: _feed(
            sources, [lanes[cell.name] for cell in instances[field.part]], lanes, taken, placed
        )
        for field, sources in fed.items()
    }
    offsets = [feed.offset for feed in feeds.values() if isinstance(feed, Neighbour)]
    before = _up(max([0, *(-offset for offset in offsets)]))
    after = max([0, *offsets])
    longest = max([WIDEST_VECTOR, *(_up(lane + 1) for lane in lanes.values())])
    length = before + _up(longest + after)
    # Words of several fields should not all fall on the same lines of a cache.
    return Layout(lanes, instances, feeds, before, length + WIDEST_VECTOR * (length % 1024 == 0))


def fields(part: str, module: NetlistModule, direction: str) -> Iterable[Field]:
    """The fields of a part's inputs or outputs, its clock aside."""
    ports: dict[str, Bits] = getattr(module, direction)
    for port, bits in ports.items():
        if port == CLOCK.name:
            continue
        for chunk in range(-(-len(bits) // STORED_BITS)):
            yield Field(part, port, chunk)


class _Source(NamedTuple):
    """What feeds an input: bits of the top module, and the output that they are as a whole."""

    bits: Bits
    field: Field | None
    instance: str


def _source(netlist: Netlist, wiring: Wiring, field: Field, cell: Cell) -> _Source:
    bits = word_slice(cell.pins[field.port], field.chunk)
    word = wiring.whole_word(bits)
    if word and word.owner and wiring.cells[word.owner].type in netlist.parts:
        part = wiring.cells[word.owner].type
        return _Source(bits, Field(part, word.pin, word.chunk), word.owner)
    return _Source(bits, None, "")


def _up(lanes: int) -> int:
    """To whole vectors."""
    return -(-lanes // WIDEST_VECTOR) * WIDEST_VECTOR


def _in_order(name: str) -> list[tuple[int, str]]:
    """Sorts names with numbers by these: row_2.pe_10 comes after row_2.pe_9."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", name)]


def _lanes(part: str, cells: Sequence[Cell], fed: dict[Field, list[_Source]]) -> dict[str, int]:
    """Consecutive lanes, one left free before an instance that is not fed as its neighbours are."""
    chains = []
    for field, sources in fed.items():
        if field.part == part:
            chained = [
                source.instance == before.name
                for source, before in zip(sources[1:], cells, strict=False)
            ]
            if 2 * sum(chained) > len(chained):
                chains.append(chained)
    lanes: dict[str, int] = {}
    lane = 0
    for place, cell in enumerate(cells):
        if place and any(not chained[place - 1] for chained in chains):
            lane += 1
        lanes[cell.name] = lane
        lane += 1
    return lanes


def _feed(
    sources: list[_Source],
    own: list[int],
    lanes: dict[str, int],
    taken: set[tuple[str, int]],
    placed: dict[tuple[Field, int], Bits],
) -> Feed:
    """How one field is fed; `placed` are the bits that free lanes hold for fields before it."""
    if len({source.bits for source in sources}) == 1:
        return Uniform(sources[0].bits)
    steps = [
        (source.field, lanes[source.instance] - lane) if source.field else None
        for source, lane in zip(sources, own, strict=True)
    ]
    everything = [Outside(lane, s.bits) for s, lane in zip(sources, own, strict=True)]
    most = Counter(step for step in steps if step).most_common(1)
    if not most:
        return Gathered(everything)
    field, offset = most[0][0]
    outside = [
        Outside(lane + offset, bits)
        for step, (lane, bits) in zip(steps, everything, strict=True)
        if step != (field, offset)
    ]
    free = all((field.part, lane) not in taken for lane, _ in outside)
    agree = all(placed.get((field, lane), bits) == bits for lane, bits in outside)
    if not (free and agree):
        return Gathered(everything)
    placed |= {(field, lane): bits for lane, bits in outside}
    return Neighbour(field, offset, outside)


__all__ = [
    "WIDEST_VECTOR",
    "Feed",
    "Field",
    "Gathered",
    "Layout",
    "Neighbour",
    "Outside",
    "Uniform",
    "fields",
    "lay_out",
]
