"""Proof by exhaustion: the sorter on every order of a group, with a known-bad twin that fails.

The sorter only compares magnitudes, so its choice depends on the weak order of a group's
magnitudes alone. Every weak order of four values occurs among the 4^4 choices of four magnitudes.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("amaranth")

from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.sat.sore import Sore
from sparsesim.machines.sat.sorter_ports import SorterSpec, SorterStimulus
from sparsesim.machines.sat.stepped_sorter import run_sorter, stream_clocks
from tests.hw.mutants import mutant

GROUP = 4
SPEC = SorterSpec(m_max=GROUP, n_max=GROUP)
#: Magnitudes with a tie of +0 and -0, neighbours, and a NaN above infinity.
MAGNITUDES = (0x0000, 0x3C00, 0x3C01, 0x7E00)


def every_group(keep):
    """All groups one after the other, signs alternating, never stalled."""
    groups = np.array(list(itertools.product(MAGNITUDES, repeat=GROUP)), dtype=np.uint16)
    groups[::2] |= np.array([0x8000, 0, 0, 0x8000], np.uint16)
    groups[1::2] |= np.array([0, 0x8000, 0, 0x8000], np.uint16)
    clocks = stream_clocks(len(groups), GROUP, keep)
    values = np.zeros(clocks, np.uint16)
    values[: groups.size] = groups.ravel()
    return groups, SorterStimulus(
        i_valid=np.arange(clocks) < groups.size,
        i_value=values,
        i_last=np.arange(clocks) % GROUP == GROUP - 1,
        keep=np.full(clocks, keep),
        o_ready=np.ones(clocks, np.bool_),
    )


def hardware(component, stimulus):
    simulation = AmaranthSimulation(component)
    clocks = len(stimulus.i_valid)
    rows = simulation.run(simulation.inputs.pack(stimulus._asdict(), clocks))
    return simulation.outputs.unpack(rows, {})


def chosen(valid, index, value, keep):
    """(groups, keep) positions and values that were emitted."""
    return index[valid].reshape(-1, keep), value[valid].reshape(-1, keep)


@pytest.mark.parametrize("keep", [1, 2, 3, 4])
def test_every_order_of_a_group(keep):
    groups, stimulus = every_group(keep)
    assert len({tuple(np.unique(row & 0x7FFF, return_inverse=True)[1]) for row in groups}) == 75
    magnitude = (groups & 0x7FFF).astype(np.int64)
    expected = np.sort(np.argsort(-magnitude, axis=1, kind="stable")[:, :keep], axis=1)
    stepped = run_sorter(SPEC, stimulus)
    rtl = hardware(Sore(SPEC), stimulus)
    for positions, values in (
        chosen(stepped.o_valid, stepped.o_index, stepped.o_value, keep),
        chosen(rtl["o_valid"].astype(np.bool_), rtl["o_index"], rtl["o_value"], keep),
    ):
        assert np.array_equal(positions, expected)
        assert np.array_equal(values, np.take_along_axis(groups, expected, axis=1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.i.value[:15] > values[k][:15]", "self.i.value[:15] >= values[k][:15]"),
        ("above[k].eq(~filled[k] | ", "above[k].eq("),
    ],
)
def test_the_known_bad_twin_fails(old, new):
    groups, stimulus = every_group(2)
    bad = mutant("hw.sat.sore", old, new).Sore(SPEC)
    rtl = hardware(bad, stimulus)
    good = run_sorter(SPEC, stimulus)
    assert len(groups) == 256
    assert not np.array_equal(rtl["o_index"], good.o_index)
