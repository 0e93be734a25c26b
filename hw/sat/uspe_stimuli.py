"""Seeded stimuli for one USPE: what its schedules do, and what nobody should ever do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sparsesim.machines.sat.spec import UspeSpec
from sparsesim.machines.sat.uspe_ports import UspeStimulus, quiet

_HALF_LANDMARKS = np.array(
    # zeros, subnormal limits, smallest normal, 1, largest, infinity, quiet and signalling NaN
    [0x0000, 0x0001, 0x03FF, 0x0400, 0x3C00, 0x3C01, 0x7BFF, 0x7C00, 0x7E00, 0x7D01],
    dtype=np.uint16,
)
_ODD_WEIGHTS = np.array([0x0000, 0x7C00, 0xFC00, 0x0001, 0x7E00], dtype=np.uint16)
_SINGLE_LANDMARKS = np.array(
    [
        0,
        1,
        0x7FFFFF,
        0x800000,
        0x3F800000,
        0x3F800001,
        0x7F7FFFFF,
        0x7F800000,
        0x7FC00001,
        0x7F800001,
    ],
    dtype=np.uint32,
)
_NOT_FINITE = 3  # the last landmarks of each list


def stimulus(spec: UspeSpec, seed: int, case: int) -> UspeStimulus:
    """Stimulus number `case` of a seed: the kinds take turns, half of them with freezes."""
    rng = np.random.default_rng((seed, case))
    kinds = list(KINDS.values())
    made = kinds[case % len(kinds)](spec, rng)
    return with_freezes(made, rng) if rng.random() < 0.5 else made


def noise(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """Every field random, each control bit with a density of its own."""
    clocks = int(rng.integers(40, 160))
    made = _with_random_data(quiet(spec, clocks), spec, rng)
    for bits in (
        *(made.op_mac, made.op_drain, made.op_first, made.op_last, made.op_os),
        *(made.w_load, made.p_valid),
    ):
        bits[:] = rng.random(clocks) < rng.random()
    made.op_slot[:] = rng.integers(spec.n_max, size=clocks)
    made.op_acc[:] = rng.integers(spec.interleave, size=clocks)
    return made


def weight_stationary(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """Weights are loaded, then blocks of interleaved rows stream; sums come from the north."""
    kept = int(rng.integers(1, spec.n_max + 1))
    rows_per_block = spec.interleave if kept > 1 else 1
    period = max(spec.interleave, spec.add_latency) if kept > 1 else 1
    blocks = int(rng.integers(1, 1 + max(1, 48 // (kept * period))))
    start = 2 * kept
    made = quiet(spec, start + blocks * kept * period + _tail(spec))
    made = _with_random_data(made, spec, rng)
    # Loads for this row, between loads for rows further down; later ones all go on.
    made.w_load[:] = rng.random(len(made.en)) < 0.5
    made.w_row[:] = rng.integers(min(1, spec.rows - 1), spec.rows, size=len(made.en))
    if spec.rows == 1:
        made.w_load[:] = False
    for slot in range(kept):
        clock = 2 * slot + int(rng.integers(2))
        made.w_load[clock], made.w_row[clock], made.w_slot[clock] = True, 0, slot
    clock = start
    for _ in range(blocks):
        for slot in range(kept):
            for row in range(rows_per_block):
                made.op_mac[clock + row] = True
                made.op_slot[clock + row] = slot
                made.op_acc[clock + row] = row
                made.op_first[clock + row] = slot == 0
                made.op_last[clock + row] = slot == kept - 1
                if slot == 0:
                    made.p_valid[clock + row + spec.mul_latency] = rng.random() < 0.8
            clock += period
    return made


def output_stationary(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """Interleaved sums stay in the PE, then drain between words that pass from the north."""
    period = max(spec.interleave, spec.add_latency)
    used = int(rng.integers(1, spec.interleave + 1))
    steps = int(rng.integers(1, 1 + max(1, 64 // period)))
    gap = int(rng.integers(1, 4))
    drains_from = steps * period + spec.mul_latency + spec.add_latency
    made = quiet(spec, drains_from + gap * used + _tail(spec))
    made = _with_random_data(made, spec, rng)
    for step in range(steps):
        for row in range(used):
            clock = step * period + row
            made.op_mac[clock] = made.op_os[clock] = True
            made.op_acc[clock] = row
            made.op_first[clock] = step == 0
            made.op_last[clock] = step == steps - 1
    made.p_valid[:] = rng.random(len(made.en)) < 0.5
    for row in range(used):
        clock = drains_from + gap * row
        made.op_drain[clock] = True
        made.op_acc[clock] = row
        made.p_valid[clock] = False
    return made


def accumulator_hazards(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """An operation per clock on two accumulators: reads and drains before the sum has landed."""
    clocks = int(rng.integers(40, 120))
    made = _with_random_data(quiet(spec, clocks), spec, rng)
    made.op_mac[:] = rng.random(clocks) < 0.95
    made.op_os[:] = rng.random(clocks) < 0.8
    made.op_first[:] = rng.random(clocks) < 0.15
    made.op_last[:] = rng.random(clocks) < 0.1
    made.op_drain[:] = rng.random(clocks) < 0.5
    made.op_acc[:] = rng.integers(min(2, spec.interleave), size=clocks)
    made.op_slot[:] = rng.integers(spec.n_max, size=clocks)
    return made


def output_collisions(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """Results, drains and passing words meet on the way south."""
    clocks = int(rng.integers(40, 120))
    made = _with_random_data(quiet(spec, clocks), spec, rng)
    for bits, density in (
        (made.op_mac, 0.7),
        (made.op_first, 0.7),
        (made.op_last, 0.7),
        (made.op_os, 0.2),
        (made.op_drain, 0.4),
        (made.p_valid, 0.8),
        (made.w_load, 0.3),
    ):
        bits[:] = rng.random(clocks) < density
    made.op_slot[:] = rng.integers(spec.n_max, size=clocks)
    made.op_acc[:] = rng.integers(spec.interleave, size=clocks)
    return made


def loads_racing_macs(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """A load of this row at almost every clock, often of the very weight a `mac` reads."""
    clocks = int(rng.integers(40, 120))
    made = _with_random_data(quiet(spec, clocks), spec, rng)
    made.w_load[:] = rng.random(clocks) < 0.8
    made.w_row[:] = np.where(rng.random(clocks) < 0.9, 0, made.w_row)
    made.op_mac[:] = rng.random(clocks) < 0.9
    made.op_first[:] = rng.random(clocks) < 0.8
    made.op_last[:] = True
    made.op_slot[:] = np.where(
        rng.random(clocks) < 0.6, made.w_slot, rng.integers(spec.n_max, size=clocks)
    )
    return made


def rounding(spec: UspeSpec, rng: np.random.Generator) -> UspeStimulus:
    """Sums from the north chosen for their product: cancellation, ties, carries, not finite."""
    clocks = int(rng.integers(60, 160))
    made = quiet(spec, clocks + spec.mul_latency)
    indices = rng.integers(spec.m_max, size=spec.n_max)
    weights = np.array([_few_bits(rng) for _ in indices], dtype=np.uint16)
    if spec.n_max > 1 or rng.random() < 0.5:
        weights[rng.integers(spec.n_max)] = rng.choice(_ODD_WEIGHTS)
    for slot in range(spec.n_max):
        made.w_load[slot], made.w_slot[slot] = True, slot
        made.w_value[slot], made.w_index[slot] = weights[slot], indices[slot]
    for clock in range(spec.n_max, clocks):
        slot = int(rng.integers(spec.n_max))
        kind = rng.integers(6)
        value = _few_bits(rng) ^ int(rng.integers(2)) << 15
        if kind == 0:
            value &= 0x8000  # a zero product lets a subnormal or the largest through
        elif kind == 1:
            value = int(rng.choice(_HALF_LANDMARKS)) ^ int(rng.integers(2)) << 15
        made.a[clock, indices[slot]] = value
        made.op_mac[clock] = made.op_first[clock] = made.op_last[clock] = True
        made.op_slot[clock] = slot
        made.op_acc[clock] = rng.integers(spec.interleave)
        a, w = np.array([value, weights[slot]], np.uint16).view(np.float16).astype(np.float32)
        with np.errstate(invalid="ignore"):
            product = int((a * w).view(np.uint32))
        if kind <= 1:
            north = int(rng.choice(_SINGLE_LANDMARKS)) ^ int(rng.integers(2)) << 31
        elif kind == 2:
            north = product ^ 0x80000000
        elif kind == 3:
            north = (product ^ 0x80000000) + int(rng.integers(-2, 3))
        else:
            # The product is around half of the sum's last place.
            lifted = product + (int(rng.integers(22, 27)) << 23)
            fraction = rng.choice([int(rng.integers(1 << 23)), 0x7FFFFF, 0x7FFFFE, 0, 1])
            north = lifted & 0xFF800000 | int(fraction)
            north ^= int(rng.integers(2)) << 31
        made.p_valid[clock + spec.mul_latency] = True
        made.p_value[clock + spec.mul_latency] = north & 0xFFFFFFFF
    return made


def _few_bits(rng: np.random.Generator) -> int:
    """A normal FP16 number; often a power of two, so that products are exactly half a place."""
    return int(rng.integers(1, 31)) << 10 | int(rng.choice([0, 0, 1, 0x200, 0x3FF]))


#: The kinds of stimulus, in the order in which cases take them.
KINDS: dict[str, Callable[[UspeSpec, np.random.Generator], UspeStimulus]] = {
    "noise": noise,
    "weight_stationary": weight_stationary,
    "output_stationary": output_stationary,
    "accumulator_hazards": accumulator_hazards,
    "output_collisions": output_collisions,
    "loads_racing_macs": loads_racing_macs,
    "rounding": rounding,
}


def with_freezes(stimulus: UspeStimulus, rng: np.random.Generator) -> UspeStimulus:
    """Insert clocks with `en` low, on which other clocks' inputs stand as a distraction."""
    clocks = len(stimulus.en)
    frozen_before = rng.geometric(rng.uniform(0.3, 0.95), size=clocks) - 1
    source = np.repeat(np.arange(clocks), frozen_before + 1)
    enabled = np.zeros(len(source), dtype=np.bool_)
    enabled[np.cumsum(frozen_before + 1) - 1] = True
    source = np.where(enabled, source, rng.integers(clocks, size=len(source)))
    made = UspeStimulus._make(field[source] for field in stimulus)
    return made._replace(en=enabled & made.en)


def _tail(spec: UspeSpec) -> int:
    """Clocks until the last operation has shown its result."""
    return spec.mul_latency + spec.add_latency + 2


def _with_random_data(
    stimulus: UspeStimulus, spec: UspeSpec, rng: np.random.Generator
) -> UspeStimulus:
    """Fill the fields that carry data; in half of the cases all of it is finite."""
    clocks = len(stimulus.en)
    finite = rng.random() < 0.5
    stimulus.a[:] = halves(rng, (clocks, spec.m_max), finite)
    stimulus.w_value[:] = halves(rng, (clocks,), finite)
    stimulus.w_index[:] = rng.integers(spec.m_max, size=clocks)
    stimulus.w_slot[:] = rng.integers(spec.n_max, size=clocks)
    stimulus.w_row[:] = rng.integers(min(spec.rows, int(rng.choice([2, spec.rows]))), size=clocks)
    stimulus.p_value[:] = singles(rng, clocks, finite)
    return stimulus


def halves(
    rng: np.random.Generator, shape: tuple[int, ...], finite: bool
) -> npt.NDArray[np.uint16]:
    """FP16 bits: any, landmarks, subnormals, and numbers of a network's size, mixed."""
    any_bits = rng.integers(1 << 16, size=shape, dtype=np.uint16)
    if finite:
        any_bits = np.where(any_bits & 0x7C00 == 0x7C00, any_bits ^ 0x4000, any_bits)
    landmarks = _HALF_LANDMARKS[:-_NOT_FINITE] if finite else _HALF_LANDMARKS
    sign = rng.integers(2, size=shape, dtype=np.uint16) << np.uint16(15)
    usual = rng.normal(size=shape).astype(np.float16).view(np.uint16)
    choices = [any_bits, rng.choice(landmarks, size=shape) | sign, any_bits & 0x83FF, usual]
    return np.choose(rng.integers(len(choices), size=shape), choices).astype(np.uint16)


def singles(rng: np.random.Generator, size: int, finite: bool) -> npt.NDArray[np.uint32]:
    """FP32 bits: any, landmarks, subnormals, and numbers of a network's size, mixed."""
    any_bits = rng.integers(1 << 32, size=size, dtype=np.uint32)
    if finite:
        largest = any_bits & 0x7F800000 == 0x7F800000
        any_bits = np.where(largest, any_bits ^ 0x40000000, any_bits)
    landmarks = _SINGLE_LANDMARKS[:-_NOT_FINITE] if finite else _SINGLE_LANDMARKS
    sign = rng.integers(2, size=size, dtype=np.uint32) << np.uint32(31)
    usual = rng.normal(size=size).astype(np.float32).view(np.uint32)
    choices = [any_bits, rng.choice(landmarks, size=size) | sign, any_bits & 0x807FFFFF, usual]
    return np.choose(rng.integers(len(choices), size=size), choices).astype(np.uint32)
