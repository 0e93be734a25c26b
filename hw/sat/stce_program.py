"""Passes as port stimuli of the array: fill the buffers, start, announce units, read the sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.array_ports import ArraySpec, ArrayStimulus, quiet

Half = npt.NDArray[np.uint16]


class ArrayPass(NamedTuple):
    """One pass and its operands, as FP16 bits.

    `blocks` (rows, B, m_max): what the west buffers hold from `a_base` on. `values`, `indices`
    (entries, cols): what the north buffers hold from `w_base` on, in the order they are read.
    `units`: result rows (WS) or groups (OS) of each fetch unit; `waits`: clocks from the start
    (first) or from the unit before to the clock in which each is announced, at the earliest.
    """

    os: bool
    kept: int
    used: int
    blocks: Half
    values: Half
    indices: npt.NDArray[np.uint8]
    units: Sequence[int]
    waits: Sequence[int]
    accumulate: bool = False
    a_base: int = 0
    w_base: int = 0
    o_base: int = 0

    def words(self, spec: ArraySpec) -> int:
        """Results per column."""
        return self.used * spec.rows if self.os else sum(self.units)


def unit_steps(spec: ArraySpec, one: ArrayPass, count: int) -> int:
    """Clocks that a unit of `count` rows or groups lasts."""
    if one.os:
        return count * one.kept * spec.round_clocks
    if one.kept == 1:
        return count
    return -(-count // spec.pe.interleave) * one.kept * spec.round_clocks


def last_issue(spec: ArraySpec, one: ArrayPass) -> int:
    """Steps of the last unit up to its last product."""
    steps = unit_steps(spec, one, one.units[-1])
    if one.kept == 1 and not one.os:
        return steps
    used = one.used if one.os else (one.units[-1] - 1) % spec.pe.interleave + 1
    return steps - (spec.round_clocks - used)


def drain_clocks(spec: ArraySpec, one: ArrayPass) -> int:
    """Clocks of a pass after its last issue (docs/sat.md section 2)."""
    pe = spec.pe
    common = spec.cols - 1 + pe.mul_latency + 2 * pe.add_latency
    if one.os:
        return one.used * spec.rows + spec.rows - 1 + common
    skew = (one.kept - 1) * spec.round_clocks + pe.add_latency
    return (spec.rows - 1) * skew + common


class Program:
    """Builds the stimulus of passes that run one after the other."""

    def __init__(self, spec: ArraySpec, clocks: int):
        self._spec = spec
        self._made = quiet(spec, clocks)
        self.clock = 0  # first clock after the last pass and the last read
        self._ready = 0  # first clock in which the array can take a start
        self.taken = 0  # clock in which it took the last

    def fill(self, one: ArrayPass, clock: int | None = None) -> int:
        """Write the operands of a pass from `clock` on; returns the first clock after.

        Raises:
            ValueError: they, or the results, do not fit the buffers.
        """
        made = self._made
        first = self.clock if clock is None else clock
        rows, blocks, _ = one.blocks.shape
        for name, needed in (
            ("west_blocks", blocks),
            ("north_entries", len(one.values)),
            ("south_words", one.words(self._spec)),
        ):
            if needed > getattr(self._spec, name):
                raise ValueError(f"the pass needs {name} of at least {needed}")
        a = first + np.arange(rows * blocks)
        made.a_valid[a] = True
        made.a_row[a] = np.repeat(np.arange(rows), blocks)
        made.a_address[a] = (one.a_base + np.tile(np.arange(blocks), rows)) % self._spec.west_blocks
        made.a_block[a] = one.blocks.reshape(rows * blocks, -1)
        w = first + np.arange(len(one.values))
        made.w_valid[w] = True
        made.w_address[w] = (one.w_base + np.arange(len(w))) % self._spec.north_entries
        made.w_value[w] = one.values
        made.w_index[w] = one.indices
        return int(first + max(len(a), len(w)))

    def run(self, one: ArrayPass, asked: int) -> int:
        """Ask for the start from clock `asked` on and announce the units; returns pass clocks."""
        made, spec = self._made, self._spec
        taken = self.taken = max(asked, self._ready)
        asking = slice(asked, taken + 1)
        made.start_valid[asking] = True
        for field in ("os", "kept", "used", "accumulate", "a_base", "w_base", "o_base"):
            getattr(made, f"start_{field}")[asking] = getattr(one, field)
        first_issue = taken + 1 + (0 if one.os else spec.rows * one.kept)
        free = taken + 1  # first clock in which the unit can be announced
        needed = first_issue
        for number, (count, wait) in enumerate(zip(one.units, one.waits, strict=True)):
            announced = free + wait
            needed = max(needed, announced)
            announcing = slice(announced, needed + 1)
            made.unit_valid[announcing] = True
            made.unit_count[announcing] = count
            made.unit_last[announcing] = number == len(one.units) - 1
            free = needed + 1
            if number < len(one.units) - 1:
                needed += unit_steps(spec, one, count)
        issued = needed + last_issue(spec, one) - 1
        # The array is one clock behind the control; its first clock is taken + 2.
        ends = issued + 1 + drain_clocks(spec, one)
        self.clock = self._ready = ends + 1
        return ends - taken - 1

    def read(self, addresses: npt.NDArray[np.int64]) -> slice:
        """Read result words, one address a clock; returns the clocks in which they stand."""
        clocks = slice(self.clock, self.clock + len(addresses))
        self._made.o_read[clocks] = True
        self._made.o_address[clocks] = addresses
        self.clock += len(addresses)
        return slice(clocks.start + 1, clocks.stop + 1)

    def finish(self) -> ArrayStimulus:
        """The stimulus, one clock longer than what has been put in."""
        return ArrayStimulus._make(field[: self.clock + 1] for field in self._made)
