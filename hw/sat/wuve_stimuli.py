"""Seeded stimuli for the update lane: training, cancellation, ties, special values, stalls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hw.sat.uspe_stimuli import halves, singles
from sparsesim.machines.sat.update_lane_ports import UpdateLaneSpec, UpdateStimulus

Single = npt.NDArray[np.uint32]


def stimulus(_: UpdateLaneSpec, seed: int, case: int) -> UpdateStimulus:
    """Stimulus number `case` of a seed; the kinds of data and of flow take turns."""
    rng = np.random.default_rng((seed, case))
    clocks = int(rng.integers(60, 200))
    made = list(KINDS.values())[case % len(KINDS)](rng, clocks)
    if case % 3 == 0:
        return made
    return made._replace(i_valid=_bursts(rng, clocks), o_ready=_bursts(rng, clocks))


def _bursts(rng: np.random.Generator, clocks: int) -> npt.NDArray[np.bool_]:
    return rng.random(clocks) < np.repeat(rng.random(-(-clocks // 8)), 8)[:clocks]


def _still(clocks: int, value: float) -> Single:
    """A setting that stands still."""
    return np.full(clocks, np.float32(value)).view(np.uint32)


def training(rng: np.random.Generator, clocks: int) -> UpdateStimulus:
    """Values of a network's size under the usual settings."""
    weight = rng.normal(scale=0.05, size=clocks).astype(np.float32)
    return UpdateStimulus(
        np.ones(clocks, np.bool_),
        rng.normal(scale=0.01, size=clocks).astype(np.float16).view(np.uint16),
        weight.view(np.uint32),
        rng.normal(scale=0.1, size=clocks).astype(np.float32).view(np.uint32),
        rng.random(clocks) < 0.75,
        _still(clocks, 10.0 ** -rng.integers(1, 5)),
        _still(clocks, 0.9),
        _still(clocks, 5e-4),
        _still(clocks, 7e-4),
        np.ones(clocks, np.bool_),
    )


def noise(rng: np.random.Generator, clocks: int) -> UpdateStimulus:
    """Any bits, the settings in every clock too."""
    finite = bool(rng.integers(2))
    return UpdateStimulus(
        np.ones(clocks, np.bool_),
        halves(rng, (clocks,), finite),
        singles(rng, clocks, finite),
        singles(rng, clocks, finite),
        rng.random(clocks) < 0.5,
        singles(rng, clocks, finite),
        singles(rng, clocks, finite),
        singles(rng, clocks, finite),
        singles(rng, clocks, finite),
        np.ones(clocks, np.bool_),
    )


def half_ties(rng: np.random.Generator, clocks: int) -> UpdateStimulus:
    """Weights that do not change and lie on, or one place beside, the middle of two FP16 values."""
    made = training(rng, clocks)
    half = rng.integers(0x7C00, size=clocks, dtype=np.uint16)
    half = np.where(rng.random(clocks) < 0.5, half % 0x800, half).astype(np.uint16)
    half = np.where(rng.random(clocks) < 0.1, 0x7BFF, half).astype(np.uint16)
    after = (half + np.uint16(1)).view(np.float16).astype(np.float64)
    low = half.view(np.float16).astype(np.float64)
    after = np.where(np.isinf(after), 65536.0, after)
    middle = ((low + after) / 2).astype(np.float32).view(np.uint32)
    sign = rng.integers(2, size=clocks, dtype=np.uint32) << np.uint32(31)
    weight = middle + rng.integers(-1, 2, size=clocks).astype(np.uint32)
    # Between the largest FP16 number and twice that: infinities.
    above = np.uint32(0x47800000) | rng.integers(1 << 23, size=clocks, dtype=np.uint32)
    weight = np.where(rng.random(clocks) < 0.1, above, weight) | sign
    return made._replace(i_weight=weight, learning_rate=_still(clocks, 0))


def cancellation(rng: np.random.Generator, clocks: int) -> UpdateStimulus:
    """The change is as large as the weight, but for some last places; no decay, no momentum."""
    made = training(rng, clocks)
    gradient = made.i_gradient.view(np.float16).astype(np.float32)
    rate = np.float32(2.0 ** rng.integers(-20, 5) * (1 + rng.random()))
    near = (rate * gradient).view(np.uint32) + rng.integers(-2, 3, size=clocks).astype(np.uint32)
    return made._replace(
        i_weight=near,
        learning_rate=np.full(clocks, rate).view(np.uint32),
        momentum=_still(clocks, 0),
        decay=_still(clocks, 0),
        decay_pruned=_still(clocks, 0),
    )


def products(rng: np.random.Generator, clocks: int) -> UpdateStimulus:
    """Velocities and momenta around underflow, overflow and rounding of their product."""
    made = noise(rng, clocks)
    exponents = rng.integers(1, 255, size=clocks)
    others = np.clip(rng.choice([127 - 20, 127, 254 + 127], size=clocks) - exponents, 0, 254)
    others = np.clip(others + rng.integers(-3, 4, size=clocks), 0, 254)

    def few_bits(exponent: npt.NDArray[np.int64]) -> Single:
        fraction = rng.integers(1 << 23, size=clocks) & rng.choice(
            [0, 0x7FFFFF, 0x700000, 0x7FF000, 3], size=clocks
        )
        return (exponent << 23 | fraction).astype(np.uint32)

    zeros = np.zeros(clocks, np.uint32)
    velocity, momentum = few_bits(exponents), few_bits(others)
    # (2^23 + 1) (2^24 - 1) at the exponent where it is a little more than half of the smallest
    # subnormal: all that decides is far below the places that are kept.
    just_more = rng.random(clocks) < 0.2
    exponents = rng.integers(1, 103, size=clocks)
    velocity = np.where(just_more, exponents << 23 | 1, velocity).astype(np.uint32)
    momentum = np.where(just_more, (103 - exponents) << 23 | 0x7FFFFF, momentum)
    return made._replace(
        i_gradient=np.zeros(clocks, np.uint16),
        i_velocity=velocity,
        momentum=momentum.astype(np.uint32),
        decay=zeros,
        decay_pruned=zeros,
    )


#: The kinds of stimulus, in the order in which cases take them.
KINDS: dict[str, Callable[[np.random.Generator, int], UpdateStimulus]] = {
    "training": training,
    "noise": noise,
    "half_ties": half_ties,
    "cancellation": cancellation,
    "products": products,
}
