"""Seeded stimuli for the sorter lane: ties, cut groups, back-pressure, bubbles, special values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.sorter_ports import SorterSpec, SorterStimulus

_LANDMARKS = np.array(
    [0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF],
    dtype=np.uint16,
)


def stimulus(spec: SorterSpec, seed: int, case: int) -> SorterStimulus:
    """Stimulus number `case` of a seed; the kinds of values and of flow take turns."""
    rng = np.random.default_rng((seed, case))
    clocks = int(rng.integers(4, 8)) * max(16, spec.m_max)
    return SorterStimulus(
        i_valid=_often(rng, clocks, case % 3 == 0),
        i_value=_VALUES[case % len(_VALUES)](spec, rng, clocks),
        i_last=_lasts(spec, rng, clocks, case),
        keep=_keep(spec, rng, clocks, case),
        o_ready=_often(rng, clocks, case % 4 < 2),
    )


def _often(rng: np.random.Generator, clocks: int, always: bool) -> npt.NDArray[np.bool_]:
    """Always, or with bursts: a density that changes every few clocks."""
    if always:
        return np.ones(clocks, np.bool_)
    density = np.repeat(rng.random(-(-clocks // 8)), 8)[:clocks]
    return rng.random(clocks) < density


def _lasts(
    spec: SorterSpec, rng: np.random.Generator, clocks: int, case: int
) -> npt.NDArray[np.bool_]:
    """Group ends: every M clocks (right where nothing stalls), at random, never, or always."""
    kind = case % 8
    if kind == 7:
        return np.full(clocks, bool(rng.integers(2)))
    if kind in (0, 1, 2):
        group = 1 << int(rng.integers(1, spec.m_max.bit_length()))
        return np.arange(clocks) % group == group - 1
    return rng.random(clocks) < rng.choice([0.05, 0.2, 0.6])


def _keep(
    spec: SorterSpec, rng: np.random.Generator, clocks: int, case: int
) -> npt.NDArray[np.int64]:
    """N: one for the whole case, or another in every clock, 0 and more than n_max included."""
    if case % 2:
        return np.full(clocks, int(rng.integers(1, spec.n_max + 1)))
    return rng.integers(1 << spec.n_max.bit_length(), size=clocks)


def _any(_: SorterSpec, rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    return rng.integers(1 << 16, size=clocks, dtype=np.uint16)


def _usual(_: SorterSpec, rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    return rng.normal(size=clocks).astype(np.float16).view(np.uint16)


def _ties(_: SorterSpec, rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    """Two or three magnitudes with either sign."""
    magnitudes = rng.integers(1 << 15, size=int(rng.integers(1, 4)), dtype=np.uint16)
    return rng.choice(magnitudes, size=clocks) | _signs(rng, clocks)


def _neighbours(_: SorterSpec, rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    """Magnitudes that differ in the lowest bits only."""
    base = np.uint16(rng.integers(1 << 12) << 3)
    return base | rng.integers(4, size=clocks, dtype=np.uint16) | _signs(rng, clocks)


def _ordered(_: SorterSpec, rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    """Ascending or descending: every value is shifted in at the top, or none is."""
    values = np.arange(clocks, dtype=np.uint16) + np.uint16(rng.integers(1 << 14))
    return (values if rng.integers(2) else values[::-1]) | _signs(rng, clocks)


def _special(_: SorterSpec, rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    return rng.choice(_LANDMARKS, size=clocks) | _signs(rng, clocks)


def _signs(rng: np.random.Generator, clocks: int) -> npt.NDArray[np.uint16]:
    return rng.integers(2, size=clocks, dtype=np.uint16) << np.uint16(15)


_VALUES = (_any, _usual, _ties, _neighbours, _ordered, _special, _ties)
