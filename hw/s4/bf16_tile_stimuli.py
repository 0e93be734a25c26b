"""Seeded stimuli for the BF16 lanes: bubbles, back-pressure, short tiles, hard numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hw.s4.spu_tile_stimuli import often
from sparsesim.machines.s4.bf16_tile_ports import Bf16TileSpec, Bf16TileStimulus

#: Zeros, subnormals, one and its neighbours, the largest number, infinities, NaN.
_SPECIALS = np.array(
    [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x3F80, 0xBF80, 0x3F81, 0x7F7F, 0xFF7F, 0x7F80,
     0xFF80, 0x7FC1], np.uint16,
)  # fmt: skip


def stimulus(spec: Bf16TileSpec, seed: int, case: int) -> Bf16TileStimulus:
    """Stimulus number `case` of a seed; kinds of values, tile lengths and flow take turns."""
    rng = np.random.default_rng((seed, case))
    clocks = 3 * spec.tile_words + spec.quant_latency + 20 * spec.step_clocks
    clocks += int(rng.integers(40, 80))
    per_tile = (1, spec.tile_words, 2 * spec.tile_words, 8)[case % 4]
    return Bf16TileStimulus(
        a_valid=often(rng, clocks, case % 3 < 2),
        a_values=_values(rng, (clocks, spec.rows * spec.group), case),
        w_valid=often(rng, clocks, case % 4 < 2),
        w_values=_values(rng, (clocks, spec.cols), case // 2),
        w_live=rng.random((clocks, spec.cols)) < (0.7 if case % 2 else 1.0),
        w_indices=rng.random((clocks, spec.cols * spec.index_bits)) < rng.choice([0.1, 0.5, 0.9]),
        w_group_last=rng.random(clocks) < 0.4,
        w_tile_last=rng.random(clocks) < 1 / per_tile,
        o_ready=often(rng, clocks, case % 2 == 0),
    )


def _values(rng: np.random.Generator, shape: tuple[int, int], case: int) -> npt.NDArray[np.uint16]:
    """Numbers of like size (sums round), any bits, a few powers of two (ties), and specials."""
    kind = case % 4
    if kind == 0:
        bits = rng.integers(0x3F00, 0x4080, size=shape) | rng.choice([0, 0x8000], size=shape)
    elif kind == 1:
        bits = rng.integers(1 << 16, size=shape)
    elif kind == 2:
        bits = rng.choice([0x3F80, 0x3F81, 0x4080, 0x3B80, 0x3C00, 0xBB80], size=shape)
    else:
        ordinary = rng.integers(0x3F00, 0x4080, size=shape)
        bits = np.where(rng.random(shape) < 0.1, rng.choice(_SPECIALS, size=shape), ordinary)
    return bits.astype(np.uint16)
