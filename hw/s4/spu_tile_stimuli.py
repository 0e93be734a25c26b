"""Seeded stimuli for the SPU tile: bubbles, back-pressure, short tiles, extreme values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparsesim.machines.s4.spu_tile_ports import SpuTileSpec, SpuTileStimulus

_EXTREMES = np.array([-128, -127, -1, 0, 1, 127], np.int8)


def stimulus(spec: SpuTileSpec, seed: int, case: int) -> SpuTileStimulus:
    """Stimulus number `case` of a seed; kinds of values, tile lengths and flow take turns."""
    rng = np.random.default_rng((seed, case))
    clocks = spec.cols + 3 * spec.tile_words + spec.quant_latency + int(rng.integers(40, 80))
    per_tile = (1, spec.tile_words, 2 * spec.tile_words, 8)[case % 4]
    loads = np.arange(clocks) < spec.cols
    again = rng.random(clocks) < (0.05 if case % 3 == 0 else 0.0)
    return SpuTileStimulus(
        a_valid=often(rng, clocks, case % 3 < 2),
        a_values=_values(rng, (clocks, spec.rows * spec.group), case),
        w_valid=often(rng, clocks, case % 4 < 2),
        w_values=_values(rng, (clocks, spec.cols), case // 2),
        w_indices=rng.random((clocks, spec.cols * spec.index_bits)) < rng.choice([0.1, 0.5, 0.9]),
        w_group_last=rng.random(clocks) < 0.4,
        w_tile_last=rng.random(clocks) < 1 / per_tile,
        q_valid=loads | again,
        q_column=np.where(
            loads,
            np.arange(clocks),
            rng.integers(1 << max(1, (spec.cols - 1).bit_length()), size=clocks),
        ),
        q_bias=_biases(rng, clocks, case),
        q_multiplier=rng.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x4000], size=clocks)
        if case % 2
        else rng.integers(1 << 16, size=clocks),
        q_shift=rng.integers(64, size=clocks)
        if case % 5 == 0
        else rng.integers(12, 24, size=clocks),
        relu=np.full(clocks, bool(rng.integers(2))) if case % 3 else rng.random(clocks) < 0.5,
        o_ready=often(rng, clocks, case % 2 == 0),
    )


def often(rng: np.random.Generator, clocks: int, always: bool) -> npt.NDArray[np.bool_]:
    """Always, or with bursts: a density that changes every few clocks."""
    if always:
        return np.ones(clocks, np.bool_)
    density = np.repeat(rng.random(-(-clocks // 8)), 8)[:clocks]
    return rng.random(clocks) < density


def _values(rng: np.random.Generator, shape: tuple[int, int], case: int) -> npt.NDArray[np.int8]:
    """Any bytes, extremes, or all -128, which give the largest sums."""
    kind = case % 3
    if kind == 0:
        return rng.integers(-128, 128, size=shape, dtype=np.int8)
    if kind == 1:
        return rng.choice(_EXTREMES, size=shape)
    return np.full(shape, -128, np.int8)


def _biases(rng: np.random.Generator, clocks: int, case: int) -> npt.NDArray[np.int64]:
    if case % 4 == 3:
        return rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], size=clocks)
    return rng.integers(-(1 << 17), 1 << 17, size=clocks) & 0xFFFFFFFF
