"""Mutation check: one wrong token in the hardware or the reference, and `verify` must see it."""

from __future__ import annotations

import pytest

pytest.importorskip("amaranth")

import hw.sat.uspe
import hw.sat.uspe_unit
from hw.verify import verify
from tests.hw.mutants import mutant

MACHINE = {"m_max": 4, "n_max": 2, "interleave": 3, "rows": 4, "mul_latency": 2, "add_latency": 3}

ADDER = ("hw.arith.float_adder", "Fp32Adder", hw.sat.uspe)
MULTIPLIER = ("hw.arith.fp16_multiplier", "Fp16Multiplier", hw.sat.uspe)
USPE = ("hw.sat.uspe", "Uspe", hw.sat.uspe_unit)
REFERENCE = ("hw.sat.uspe_reference", "run_reference", hw.sat.uspe_unit)

FAULTS = {
    "ties go away from zero": (
        *ADDER,
        "tie_or_more & (rest | fraction[0])",
        "tie_or_more",
    ),
    "no rounding": (*ADDER, "up.eq(tie_or_more", "up.eq(0"),
    "sticky bit dropped": (*ADDER, "kept[0] | shifted[:bits].any()", "kept[0]"),
    "rounding carry dropped": (
        *ADDER,
        "Cat(fraction, normalised.exponent) + up",
        "Cat((fraction + up)[:23], normalised.exponent)",
    ),
    "carry of the sum not in the exponent": (
        *ADDER,
        "added.exponent + 1 - zeros",
        "added.exponent - zeros",
    ),
    "-0 from cancellation": (*ADDER, "(1, x.sign & y.sign)", "(1, x.sign)"),
    "subnormal exponent": (*ADDER, "Mux(shifted[-1], exponent, 0)", "exponent"),
    "operands not ordered": (
        *ADDER,
        "x.magnitude < y.magnitude",
        "x.magnitude < 0",
    ),
    "Inf - Inf": (*ADDER, "((smaller.exponent == self.number.exponent_max) & subtract)", "0"),
    "product exponent": (*MULTIPLIER, "127 - 2 * 15", "127 - 2 * 14"),
    "subnormal operand": (*MULTIPLIER, "x.scale", "x.exponent"),
    "Inf x 0": (*MULTIPLIER, "special & (x.zero | y.zero)", "special & y.zero"),
    "sign of the product": (*MULTIPLIER, "x.sign ^ y.sign", "x.sign | y.sign"),
    "leading zeros of the second operand": (*MULTIPLIER, "y.scale - zeros_y", "y.scale"),
    "exponent of a product from 2": (
        *MULTIPLIER,
        "_PRODUCT_OFFSET + product[21]",
        "_PRODUCT_OFFSET",
    ),
    "distance of swapped operands": (*ADDER, "y.scale - x.scale", "x.scale - y.scale"),
    "accumulator index from the wrong stage": (
        *USPE,
        "accumulators[landing.acc]",
        "accumulators[issued.acc]",
    ),
    "drain reads another accumulator": (
        *USPE,
        "accumulators[op.acc]",
        "accumulators[issued.acc]",
    ),
    "sum lands a clock late": (*USPE, "self.spec.add_latency - 1", "self.spec.add_latency"),
    "taken word passes too": (*USPE, "self.p_i.valid & ~takes_north", "self.p_i.valid"),
    "north taken without valid": (*USPE, "takes_north & self.p_i.valid", "takes_north"),
    "os results leave": (
        *USPE,
        "landing.mac & landing.last & ~landing.os",
        "landing.mac & landing.last",
    ),
    "pass wins over result": (
        *USPE,
        "Mux(result_valid, result_value, Mux(pass_valid, pass_value, 0))",
        "Mux(pass_valid, pass_value, Mux(result_valid, result_value, 0))",
    ),
    "load taken by every row": (*USPE, "weight.load & ~weight.row.any()", "weight.load"),
    "row not counted down": (*USPE, "weight.row - goes_on", "weight.row"),
    "os index from the register": (
        *USPE,
        "Mux(op.os, weight.index, indices[op.slot])",
        "indices[op.slot]",
    ),
    "freeze ignored": (*USPE, "EnableInserter(self.en)(m)", "m"),
    "reference starts with a weight": (
        *REFERENCE,
        "weights = [(0, 0)] * spec.n_max",
        "weights = [(1, 0)] * spec.n_max",
    ),
    "reference lands a clock early": (
        *REFERENCE,
        "t + spec.add_latency",
        "t + spec.add_latency - 1",
    ),
    "reference keeps a taken word": (*REFERENCE, "                    north = None\n", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, user, old, new = FAULTS[fault]
    monkeypatch.setattr(user, name, getattr(mutant(module_name, old, new), name))
    report = verify("sat", unit="uspe", cases=35, overrides=MACHINE, simulator="amaranth")["uspe"]
    assert report["mismatches"] > 0


def test_the_unchanged_sources_have_no_fault():
    report = verify("sat", unit="uspe", cases=35, overrides=MACHINE, simulator="amaranth")["uspe"]
    assert report["mismatches"] == 0
