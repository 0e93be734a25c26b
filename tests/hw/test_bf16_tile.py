"""The BF16 lanes: RTL, stepped model, reference and the machine's stepped core agree."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")


import hw.s4.bf16_unit
from hw.cosim.verilator import missing_tool
from hw.s4.bf16_tile_reference import run_reference
from hw.s4.bf16_tile_stimuli import stimulus
from hw.verify import verify
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.s4.bf16_tile_ports import Bf16TileSpec, Bf16TileStimulus, bf16_tile_spec
from sparsesim.machines.s4.requantise import to_bf16
from sparsesim.machines.s4.spu import CLOCKS, Run, SpuShape
from sparsesim.machines.s4.stepped import run_spu
from sparsesim.machines.s4.stepped_bf16_tile import run_bf16_tile
from tests.hw.mutants import mutant

SMALL = {"rows": 2, "cols": 3, "group": 4, "kept_allowed": [4], "drain_results": 2}
SIZES = [
    {**SMALL, "rows": 1, "cols": 1, "drain_results": 1, "quant_latency": 1, "bf16_step_clocks": 1},
    {**SMALL, "bf16_step_clocks": 2},
    {**SMALL, "cols": 2, "quant_latency": 6, "bf16_step_clocks": 4},
]


def report(cases, overrides=SMALL, simulator="amaranth"):
    made = verify("s4", unit="spu_bf16", cases=cases, overrides=overrides, simulator=simulator)
    return made["spu_bf16"]


@pytest.mark.parametrize("size", SIZES)
def test_rtl_stepped_model_and_reference_agree(size):
    found = report(12, size)
    assert found["cycles_compared"] > 12 * 40
    assert (found["mismatches"], found["first_mismatch"]) == (0, None)


@pytest.mark.slow
def test_the_emitted_verilog_agrees():
    found = report(400, {}, None)
    assert found["cycles_compared"] > 40_000
    assert (found["mismatches"], found["first_mismatch"]) == (0, None)


def test_the_cases_reach_the_corners():
    spec = Bf16TileSpec(rows=2, cols=3, group=8, drain_results=2, quant_latency=4, step_clocks=2)
    seen = dict.fromkeys(["nan", "infinite", "inexact", "output waits", "step waits"], 0)
    for case in range(40):
        made = stimulus(spec, 0, case)
        out = run_reference(spec, made)
        magnitude = out.o_values[out.o_valid] & 0x7FFF
        seen["nan"] += int((magnitude > 0x7F80).sum())
        seen["infinite"] += int((magnitude == 0x7F80).sum())
        seen["inexact"] += int((magnitude & 1).sum())
        seen["output waits"] += int((out.o_valid & ~made.o_ready).sum())
        seen["step waits"] += int((made.a_valid & made.w_valid & ~out.w_ready).sum())
    assert all(count >= 20 for count in seen.values()), seen


@pytest.mark.parametrize("step", [1, 2, 4])
def test_tiles_take_the_clocks_and_give_the_sums_of_the_machines_stepped_core(step):
    rows, cols, group, latency, row_tiles, drain, steps = 2, 4, 8, 4, 3, 2, (2, 1, 3)
    rng = np.random.default_rng(step)
    total = sum(steps)
    acts = to_bf16(rng.standard_normal((row_tiles * rows, len(steps) * group), np.float32))
    values = to_bf16(rng.standard_normal((total, cols), np.float32))
    indices = rng.integers(group, size=(total, cols)).astype(np.int16)
    shape = SpuShape(
        rows=rows, cols=cols, group=group, act_rows=rows, act_capacity=4 * rows,
        weight_clocks=1, weight_depth=4, step_clocks=step, drain_width=drain,
        quant_latency=latency,
    )  # fmt: skip
    counts = np.array([steps], np.int64)
    run = Run(np.full(row_tiles, rows), 1, 0, np.array([cols]), counts, counts * cols)
    outcome, sums = run_spu(shape, run, acts, values, indices, np.zeros(1, np.float32))

    spec = Bf16TileSpec(
        rows=rows, cols=cols, group=group, drain_results=drain, quant_latency=latency,
        step_clocks=step,
    )  # fmt: skip
    clocks = int(outcome[CLOCKS].sum()) + 8
    template = stimulus(spec, 0, 0)
    made = Bf16TileStimulus(*(np.zeros((clocks, *c.shape[1:]), c.dtype) for c in template))
    made.o_ready[:] = made.w_live[:] = True
    group_of = np.repeat(np.arange(len(steps)), steps)
    order = [(tile, number) for tile in range(row_tiles) for number in range(total)]
    at = 0
    for clock in range(clocks):
        if at == len(order):
            break
        tile, number = order[at]
        span = slice(group_of[number] * group, (group_of[number] + 1) * group)
        made.a_valid[clock] = made.w_valid[clock] = True
        made.a_values[clock] = _bits(acts[tile * rows : (tile + 1) * rows, span]).ravel()
        made.w_values[clock] = _bits(values[number])
        made.w_indices[clock] = (indices[number][:, None] >> np.arange(spec.index_bits) & 1).ravel()
        made.w_group_last[clock] = number in np.cumsum(steps) - 1
        made.w_tile_last[clock] = number == total - 1
        upto = Bf16TileStimulus(*(column[: clock + 1] for column in made))
        at += int(run_bf16_tile(spec, upto).w_ready[clock])
    out = run_bf16_tile(spec, made)
    # The machine fills its FIFOs in one clock before the tile's first.
    assert 1 + np.flatnonzero(out.o_valid)[-1] + 1 == outcome[CLOCKS].sum()
    found = out.o_values[out.o_valid].reshape(row_tiles * rows, cols)
    assert np.array_equal(found, _bits(to_bf16(sums)))


def _bits(values):
    """The upper halves of FP32 numbers that are BF16."""
    return (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16)


def test_a_step_longer_than_the_adder_is_refused():
    machine = load_machine("s4", {"bf16_step_clocks": 5}).spec
    with pytest.raises(InputError, match="bf16_step_clocks must be at most 4"):
        bf16_tile_spec(machine)


TILE = ("hw.s4.bf16_tile", "Bf16Tile", hw.s4.bf16_unit)
REFERENCE = ("hw.s4.bf16_tile_reference", "run_reference", hw.s4.bf16_unit)
FAULTS = {
    "the select is off by one": (*TILE, "group.word_select(self.index, 16)",
                                 "group.word_select(self.index ^ 1, 16)"),
    "an idle lane adds": (*TILE, "Mux(live, multiplier.product, 0)", "multiplier.product"),
    "idle a clock early": (*TILE, "Mux(live, multiplier.product, 0)",
                           "Mux(selected, multiplier.product, 0)"),
    "a tile adds to the last": (*TILE, "Mux(self.replaces, 0, total)", "total"),
    "a bubble is added": (*TILE, "with m.If(self.lands):", "with m.If(1):"),
    "ties go up": (*TILE, "total[15] & (total[:15].any() | total[16])", "total[15]"),
    "no rounding": (*TILE, "total[15] & (total[:15].any() | total[16])", "0"),
    "a result a clock late": (*TILE, "range(self.spec.quant_latency)",
                              "range(self.spec.quant_latency + 1)"),
    "steps follow at once": (*TILE, "self.step_clocks = spec.step_clocks", "self.step_clocks = 1"),
    "reference keeps subnormals": (*REFERENCE, "products = np.where(tiny,",
                                   "_ = np.where(tiny,"),
    "reference drains early": (*REFERENCE, "_ISSUE_TO_DRAIN = 4", "_ISSUE_TO_DRAIN = 3"),
}  # fmt: skip


#: Faults in the default suite.
QUICK = ("an idle lane adds", "ties go up")


@pytest.mark.parametrize(
    "fault",
    [fault if fault in QUICK else pytest.param(fault, marks=pytest.mark.slow) for fault in FAULTS],
)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, user, old, new = FAULTS[fault]
    monkeypatch.setattr(user, name, getattr(mutant(module_name, old, new), name))
    assert report(12)["mismatches"] > 0


@pytest.mark.slow
@pytest.mark.skipif(missing_tool() is not None, reason=f"{missing_tool()} is not installed")
def test_lanes_that_do_not_freeze_are_found_in_the_emitted_verilog(monkeypatch):
    # Amaranth's simulator sees no instances, and freezes the lanes with the tile around them.
    bad = mutant("hw.s4.bf16_tile", "EnableInserter(self.en)(m)", "m").Bf16Tile
    monkeypatch.setattr(hw.s4.bf16_unit, "Bf16Tile", bad)
    assert report(12, simulator="verilator")["mismatches"] > 0
