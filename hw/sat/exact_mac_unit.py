"""The exact FP16 accumulator as a unit: its golden model in whole numbers, and its stimuli.

A unit of its own and not an option of the PE: partial sums that go from PE to PE would be 96 bits
wide, and its two clocks are not the adder's rounds that the machine's schedules interleave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.arith.exact_accumulator import ACCUMULATOR_BITS, LOWEST_EXPONENT, ExactAccumulator
from hw.cosim.trace_words import Trace
from sparsesim.machines.sat.spec import SatSpec

_QUIET_NAN = 0x7FC00000
_SIGNIFICAND_BITS = 24


class ExactMacUnit:
    """FP16 x FP16 with an exact sum: the alternative to the PE's FP32 adder."""

    def __init__(self, _machine: SatSpec):
        pass

    def component(self) -> ExactAccumulator:
        return ExactAccumulator()

    def stimulus(self, seed: int, case: int) -> Trace:
        """Any bits, numbers that cancel, the largest and smallest, and specials; with bubbles."""
        rng = np.random.default_rng((seed, case))
        clocks = int(rng.integers(60, 120))
        kind = case % 4
        if kind == 0:
            x, y = rng.integers(1 << 16, size=(2, clocks))
        elif kind == 1:  # each product comes again with the other sign
            x, y = np.repeat(rng.integers(0x7C00, size=(2, clocks // 2 + 1)), 2, axis=1)[:, :clocks]
            x = x ^ np.where(np.arange(clocks) % 2, 0x8000, 0)
        elif kind == 2:
            edges = [0, 1, 2, 0x3FF, 0x400, 0x3C00, 0x7BFF]
            x, y = rng.choice(edges, size=(2, clocks)) ^ rng.choice([0, 0x8000], size=(2, clocks))
        else:
            x, y = rng.integers(0x3000, 0x4C00, size=(2, clocks))
            special = rng.choice([0x7C00, 0xFC00, 0x7E00, 0], size=clocks)
            x = np.where(rng.random(clocks) < 0.05, special, x)
        return {
            "valid": rng.random(clocks) < (0.6 if case % 3 else 1.0),
            "first": rng.random(clocks) < (0.02, 0.1, 1.0)[case % 3],
            "x": x.astype(np.uint16),
            "y": y.astype(np.uint16),
        }

    def models(self) -> Mapping[str, Callable[[Trace], Trace]]:
        return {"reference": run_reference}

    def meanings(self) -> Mapping[str, str]:
        return {
            "valid": "a pair of operands stands on x and y",
            "first": "the product replaces the sum",
            "x": "binary16",
            "y": "binary16",
            "total": "the sum, rounded to binary32; with the operands of two clocks before",
        }

    def description(self) -> dict[str, Any]:
        return {
            "summary": "FP16 multiplier with an exact fixed-point accumulator (docs/rtl.md)",
            "parameters": {
                "accumulator_bits": ACCUMULATOR_BITS,
                "lowest_exponent": LOWEST_EXPONENT,
            },
            "initiation_interval_clocks": 1,
            "latencies_clocks": {"operands_to_total": ExactAccumulator.latency},
            "number_formats": {"operands": "IEEE 754 binary16", "total": "IEEE 754 binary32"},
            "rounding": {
                "sum": "exact within 2^15 products",
                "total": "once, to nearest, ties to even; subnormal operands kept",
                "nan": "canonical 0x7fc00000",
            },
            "models": {"golden_model": "hw.sat.exact_mac_unit:run_reference"},
        }


def run_reference(inputs: Trace) -> Trace:
    """The total in each clock, from reset, by whole numbers of 2^-48."""
    x, y = (inputs[name].view(np.float16).astype(np.float64) for name in ("x", "y"))
    total, nan, infinities = 0, False, set[float]()
    shown: npt.NDArray[np.uint32] = np.zeros(len(x), np.uint32)
    for clock in range(len(x) - ExactAccumulator.latency):
        if inputs["valid"][clock]:
            if inputs["first"][clock]:
                total, nan, infinities = 0, False, set()
            with np.errstate(invalid="ignore"):
                product = float(x[clock] * y[clock])
            if math.isnan(product):
                nan = True
            elif math.isinf(product):
                infinities.add(product)
            else:
                total += int(math.ldexp(product, -LOWEST_EXPONENT))  # exact: 22 bits
        shown[clock + ExactAccumulator.latency] = _rounded(total, nan, infinities)
    return {"total": shown}


def _rounded(total: int, nan: bool, infinities: set[float]) -> int:
    if nan or len(infinities) == 2:
        return _QUIET_NAN
    if infinities:
        return int(np.float32(next(iter(infinities))).view(np.uint32))
    size = abs(total)
    shift = max(0, size.bit_length() - _SIGNIFICAND_BITS)
    kept, rest = size >> shift, size & ((1 << shift) - 1)
    half = 1 << shift >> 1
    kept += shift > 0 and (rest > half or (rest == half and kept & 1 == 1))
    value = math.ldexp(kept, shift + LOWEST_EXPONENT)  # at most 25 bits, the lowest 0: exact
    return int(np.float32(-value if total < 0 else value).view(np.uint32))


UNIT = ExactMacUnit
