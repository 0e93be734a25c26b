"""Mutation check of sorter, update lane and array: one wrong token, and `verify` must see it."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth")

import hw.sat.sore_unit
import hw.sat.stce
import hw.sat.stce_unit
import hw.sat.wuve
import hw.sat.wuve_unit
from hw.verify import verify
from tests.hw.mutants import mutant

MACHINE = {
    "m_max": 4, "n_max": 2, "sorter_entries": 2, "interleave": 3, "rows": 2, "cols": 2,
    "mul_latency": 1, "add_latency": 2,
}  # fmt: skip
#: Stimuli per unit, each of all kinds.
CASES = {"sore": 28, "wuve": 10, "stce": 6}

SORE = ("sore", "hw.sat.sore", "Sore", hw.sat.sore_unit)
SORE_REFERENCE = ("sore", "hw.sat.sore_reference", "run_reference", hw.sat.sore_unit)
WUVE = ("wuve", "hw.sat.wuve", "Wuve", hw.sat.wuve_unit)
MULTIPLIER = ("wuve", "hw.arith.float_multiplier", "Fp32Multiplier", hw.sat.wuve)
NARROW = ("wuve", "hw.arith.fp16_conversion", "Fp32ToFp16", hw.sat.wuve)
WIDEN = ("wuve", "hw.arith.fp16_conversion", "Fp16ToFp32", hw.sat.wuve)
STCE = ("stce", "hw.sat.stce", "Stce", hw.sat.stce_unit)

FAULTS = {
    "ties to the later value": (
        *SORE,
        "self.i.value[:15] > values[k][:15]",
        "self.i.value[:15] >= values[k][:15]",
    ),
    "sign takes part": (
        *SORE,
        "self.i.value[:15] > values[k][:15]",
        "self.i.value > values[k]",
    ),
    "sorter not emptied": (*SORE, "next_filled[k] & ~ends", "next_filled[k]"),
    "group end while one waits": (
        *SORE,
        "may_end.eq(~later.any() & (self.o.ready | ~waiting.any()))",
        "may_end.eq(~later.any())",
    ),
    "one kept too many": (*SORE, "self.keep > k", "self.keep >= k"),
    "position not restarted": (*SORE, "Mux(ends, 0, position + 1)", "position + 1"),
    "last on the wrong value": (
        *SORE,
        "self.o.last.eq(waiting.any() & ~later.any())",
        "self.o.last.eq(later.any())",
    ),
    "reference keeps ties the other way": (
        *SORE_REFERENCE,
        "-(bits[position] & 0x7FFF), position",
        "-(bits[position] & 0x7FFF), -position",
    ),
    "masked weights decay as kept ones": (
        *WUVE,
        "Mux(self.i.pruned, self.decay_pruned, self.decay)",
        "self.decay",
    ),
    "weight moves uphill": (*WUVE, "~change[31]", "change[31]"),
    "lane moves over a waiting result": (
        *WUVE,
        "moves.eq(~self.o.valid | self.o.ready)",
        "moves.eq(1)",
    ),
    "weight a clock late": (
        *WUVE,
        'self._later(m, "weight", self.i.weight, to_weight)',
        'self._later(m, "weight", self.i.weight, to_weight + 1)',
    ),
    "product ties go up": (
        *MULTIPLIER,
        "tie_or_more & (rest | fraction[0])",
        "tie_or_more",
    ),
    "lost bits of a subnormal product": (
        *MULTIPLIER,
        "(~up & top) | fallen.any()",
        "(~up & top)",
    ),
    "product exponent": (*MULTIPLIER, "(1 - self.number.bias)", "-self.number.bias"),
    "subnormal factor not normalised": (
        *MULTIPLIER,
        "small=(self.significand_bits, normal)",
        "small=(self.significand_bits, small)",
    ),
    "upper part of a product": (*MULTIPLIER, "multiplied.high << _DSP_BITS", "0"),
    "one place too far up": (*MULTIPLIER, "(exponent > 1)", "(exponent > 0)"),
    "a rest of few places": (
        *MULTIPLIER,
        "Mux(distance > most, most, distance[:bits])",
        "distance[:bits]",
    ),
    "half ties go up": (
        *NARROW,
        "tie_or_more & (wide[:24].any() | fraction[0])",
        "tie_or_more",
    ),
    "half overflow": (*NARROW, "_BIAS + 30", "_BIAS + 31"),
    "subnormal half": (*WIDEN, "_BIAS - zeros", "_BIAS - 1 - zeros"),
    "column after column ignores the skew": (
        *STCE,
        "control.column_command if c == 0 else north[c - 1].command_o",
        "control.column_command",
    ),
    "wrong column lands last": (*STCE, "south[-1].landed", "south[0].landed"),
    "rows are not written apart": (
        *STCE,
        "self.a.valid & (self.a.row == r)",
        "self.a.valid",
    ),
    "sums never accumulate": (
        *STCE,
        "column.accumulate.eq(control.accumulate)",
        "column.accumulate.eq(0)",
    ),
}


def report_of(unit):
    return verify("sat", unit=unit, cases=CASES[unit], overrides=MACHINE, simulator="amaranth")


#: A third in every run, the rest with the slow tests.
SAMPLED = [
    pytest.param(fault, marks=[] if number % 3 == 0 else [pytest.mark.slow])
    for number, fault in enumerate(FAULTS)
]


@pytest.mark.parametrize("fault", SAMPLED)
def test_fault_is_found(monkeypatch, fault):
    unit, module_name, name, user, old, new = FAULTS[fault]
    monkeypatch.setattr(user, name, getattr(mutant(module_name, old, new), name))
    assert report_of(unit)[unit]["mismatches"] > 0


@pytest.mark.parametrize("unit", CASES)
def test_the_unchanged_sources_have_no_fault(unit):
    assert report_of(unit)[unit]["mismatches"] == 0
