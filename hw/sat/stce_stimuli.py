"""Seeded stimuli for the array: passes of both dataflows, back to back, from ping-pong buffers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hw.sat.stce_program import ArrayPass, Program
from hw.sat.uspe_stimuli import halves
from sparsesim.machines.sat.array_ports import ArraySpec, ArrayStimulus

_CLOCKS = 1 << 15


def stimulus(spec: ArraySpec, seed: int, case: int) -> ArrayStimulus:
    """Stimulus number `case` of a seed: two or three passes, each into its half of the buffers.

    The operands of a pass are written before it starts, those of the next while it runs. Units
    come late or early, starts are asked for before the array is free or long after.
    """
    rng = np.random.default_rng((seed, case))
    program = Program(spec, _CLOCKS)
    one = random_pass(spec, rng, 0)
    filled = program.fill(one)
    for number in range(1, int(rng.integers(3, 5))):
        early = int(rng.integers(4))
        asked = max(filled, program.clock + int(rng.choice([-early, 0, early])))
        program.run(one, asked)
        if rng.random() < 0.3:
            program.read(_words(spec, one, 3))
        before, one = one, random_pass(spec, rng, number)
        if one.words(spec) <= before.words(spec) and rng.random() < 0.5:
            one = one._replace(accumulate=True, o_base=before.o_base)
        filled = program.fill(one, program.taken + 1)
    program.clock = max(program.clock, filled)
    program.read(rng.permutation(_words(spec, before, spec.south_words)))
    return program.finish()


def _words(spec: ArraySpec, one: ArrayPass, most: int) -> npt.NDArray[np.int64]:
    """Where the first results of a pass are."""
    return (one.o_base + np.arange(min(most, one.words(spec)))) % spec.south_words


def random_pass(spec: ArraySpec, rng: np.random.Generator, number: int = 0) -> ArrayPass:
    """A pass of a random shape whose operands fit half of each buffer; half of them finite."""
    pe = spec.pe
    os = bool(rng.integers(2))
    kept = int(rng.integers(1, pe.n_max + 1))
    used = int(rng.integers(1, pe.interleave + 1))
    room = min(spec.west_blocks, spec.south_words) // 2
    if os:
        used = max(1, min(used, spec.south_words // 2 // spec.rows))
        longest = min(room // used, spec.north_entries // 2 // kept)
    else:
        longest = room
    total = int(rng.integers(1, 1 + max(1, min(longest, int(rng.choice([4, 24]))))))
    cuts = np.flatnonzero(rng.random(total - 1) < rng.random()) + 1
    units = np.diff(np.concatenate([[0], cuts, [total]])).tolist()
    blocks = total * used if os else total
    entries = kept * total if os else kept * spec.rows
    finite = bool(rng.integers(2))
    late = rng.random(len(units)) < rng.choice([0.0, 0.3, 1.0])
    half = number % 2
    return ArrayPass(
        os=os,
        kept=kept,
        used=used,
        blocks=halves(rng, (spec.rows, blocks, pe.m_max), finite),
        values=halves(rng, (entries, spec.cols), finite),
        indices=rng.integers(pe.m_max, size=(entries, spec.cols)).astype(np.uint8),
        units=units,
        waits=np.where(late, rng.integers(30, size=len(units)), 0).tolist(),
        accumulate=False,
        a_base=half * spec.west_blocks // 2 + (int(rng.integers(4)) if blocks < room - 4 else 0),
        w_base=half * spec.north_entries // 2,
        o_base=int(rng.integers(spec.south_words)),
    )
