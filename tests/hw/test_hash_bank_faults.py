"""Mutation check of the hash bank: one wrong token, and `verify` must see it."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth")

import hw.piuma.hash_bank
import hw.piuma.hash_bank_unit
from hw.verify import verify
from tests.hw.mutants import mutant

ADDER = ("hw.arith.float_adder", "Fp64Adder", hw.piuma.hash_bank)
BANK = ("hw.piuma.hash_bank", "HashBank", hw.piuma.hash_bank_unit)
REFERENCE = ("hw.piuma.hash_bank_reference", "run_reference", hw.piuma.hash_bank_unit)

FAULTS = {
    "a tag is not recognised behind its home": (
        *BANK,
        "with m.If(same):\n                    m.d.sync",
        "with m.If(same & (count == 0)):\n                    m.d.sync",
    ),
    "a claim ends without the add": (
        *BANK,
        'writer.data.eq(now["tag"])]',
        'writer.data.eq(now["tag"]), done.eq(1)]',
    ),
    "the last slot is not probed": (*BANK, "count == mask):", "count + 1 == mask):"),
    "probing leaves the region": (*BANK, "(slot + 1) & mask", "slot + 1"),
    "home outside the mask": (*BANK, "i.slot & i.mask", "i.slot"),
    "tags are read for values": (*BANK, "Cat(place, adding)", "Cat(place, 0)"),
    "a compare-exchange always writes": (*BANK, "writer.en.eq(same)", "writer.en.eq(1)"),
    "a response is overwritten": (*BANK, "~busy & (~valid | o.ready)", "~busy"),
    "a bubble between requests": (*BANK, "~busy & (~valid | o.ready)", "~busy & ~valid"),
    "a claim is not reported": (*BANK, "Mux(claimed, CLAIMED, 0)", "0"),
    "a fill stops early": (*BANK, "done.eq(count == mask)", "done.eq(count + 1 == mask)"),
    "ties away from zero": (*ADDER, "tie_or_more & (rest | fraction[0])", "tie_or_more"),
    "sticky bit dropped": (*ADDER, "kept[0] | shifted[:bits].any()", "kept[0]"),
    "subnormal exponent": (*ADDER, "Mux(shifted[-1], exponent, 0)", "exponent"),
    "Inf - Inf": (*ADDER, "((smaller.exponent == self.number.exponent_max) & subtract)", "0"),
    "-0 from cancellation": (*ADDER, "(1, x.sign & y.sign)", "(1, x.sign)"),
    "reference probes one slot less": (*REFERENCE, "range(1, mask + 2)", "range(1, mask + 1)"),
    "reference forgets the clocks of a sum": (
        *REFERENCE,
        "(probe + 1) * spec.atomic_cycles",
        "probe * spec.atomic_cycles",
    ),
}  # fmt: skip


def mismatches(cases):
    report = verify("piuma", unit="hash_bank", cases=cases, simulator="amaranth")
    return report["hash_bank"]["mismatches"]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, user, old, new = FAULTS[fault]
    monkeypatch.setattr(user, name, getattr(mutant(module_name, old, new), name))
    # The corners of the adder are rarer.
    assert mismatches(120 if user is hw.piuma.hash_bank else 24) > 0


def test_the_unchanged_sources_have_no_fault():
    assert mismatches(24) == 0
