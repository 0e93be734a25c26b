"""Mutation check of the SPU tile: one wrong token, and `verify` must see it."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth")

import hw.s4.spu_tile
import hw.s4.spu_unit
from hw.verify import verify
from tests.hw.mutants import mutant

TILE = ("hw.s4.spu_tile", "SpuTile", hw.s4.spu_unit)
QUANT = ("hw.s4.requantiser", "Requantiser", hw.s4.spu_tile)
REFERENCE = ("hw.s4.spu_tile_reference", "run_reference", hw.s4.spu_unit)

MACHINE = {"rows": 2, "cols": 3, "group": 4, "kept_allowed": [4], "drain_results": 2}

FAULTS = {
    "the select is off by one": (*TILE, "group.word_select(index, 8)",
                                 "group.word_select(index ^ 1, 8)"),
    "a tile adds to the last": (*TILE, "Mux(replaces, 0, total)", "total"),
    "a bubble is added": (*TILE, "with m.If(adds):", "with m.If(1):"),
    "the drain is overwritten": (*TILE, "(drain_wait <= 1)", "(drain_wait <= 2)"),
    "the drain waits a clock more": (*TILE, "(drain_wait <= 1)", "(drain_wait == 0)"),
    "back-pressure is ignored": (*TILE, "EnableInserter(moves)(m)", "m"),
    "the group stays after the tile": (*TILE, "(w.group_last | w.tile_last)", "w.group_last"),
    "rows leave a word late": (*TILE, "part == spec.row_words - 1", "part == spec.row_words"),
    "last without the row": (*TILE, "last.eq(Cat(left == 1, last))",
                             "last.eq(Cat(row_ends, last))"),
    "half is not added": (*QUANT, "rounded.eq(product + half)", "rounded.eq(product)"),
    "no upper bound": (*QUANT, "saturated.eq(127)", "saturated.eq(shifted)"),
    "relu at another time": (*QUANT, "step(\"shift\", value=rounded >> shift, relu=relu)",
                             "step(\"shift\", value=rounded >> shift, relu=self.relu)"),
    "unsigned multiplier": (*QUANT, '"multiplier": In(signed(16))', '"multiplier": In(16)'),
    "reference drains early": (*REFERENCE, "_ISSUE_TO_DRAIN = 4", "_ISSUE_TO_DRAIN = 3"),
}  # fmt: skip


def mismatches():
    report = verify("s4", unit="spu", cases=16, overrides=MACHINE, simulator="amaranth")
    return report["spu"]["mismatches"]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, user, old, new = FAULTS[fault]
    monkeypatch.setattr(user, name, getattr(mutant(module_name, old, new), name))
    assert mismatches() > 0


def test_the_unchanged_sources_have_no_fault():
    assert mismatches() == 0
