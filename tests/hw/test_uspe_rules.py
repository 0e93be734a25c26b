"""Each rule of docs/sat.md section 1 by hand-worked example, on the RTL and on the reference."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.sat.uspe import Uspe
from hw.sat.uspe_reference import run_reference
from hw.sat.uspe_unit import input_trace, output_trace
from sparsesim.machines.sat.spec import UspeSpec
from sparsesim.machines.sat.uspe_ports import UspeResponse, quiet

SPEC = UspeSpec(rows=4, m_max=4, n_max=2, interleave=3, mul_latency=2, add_latency=3)
SUM = SPEC.mul_latency + SPEC.add_latency
CLOCKS = 24


def half(value):
    return np.float16(value).view(np.uint16)


def single(value):
    return int(np.float32(value).view(np.uint32))


def run_rtl(spec, stimulus):
    simulation = AmaranthSimulation(Uspe(spec))
    rows = simulation.run(simulation.inputs.pack(input_trace(stimulus), len(stimulus.en)))
    seen = simulation.outputs.unpack(rows, {"a_o": np.dtype(np.uint16)})
    ports = output_trace(UspeResponse._make(UspeResponse._fields))
    return UspeResponse(**{field: seen[port] for port, field in ports.items()})


@pytest.fixture(params=[run_rtl, run_reference], ids=["rtl", "reference"])
def run(request):
    return request.param


def issue(made, clock, *, a=1.0, index=0, slot=0, acc=0, **control):
    made.op_mac[clock] = True
    made.a[clock, index] = half(a)
    made.op_slot[clock], made.op_acc[clock] = slot, acc
    for name, value in control.items():
        getattr(made, f"op_{name}")[clock] = value


def load(made, clock, value, *, row=0, slot=0, index=0):
    made.w_load[clock], made.w_row[clock], made.w_slot[clock] = True, row, slot
    made.w_value[clock], made.w_index[clock] = half(value), index


def words(response):
    """Clock -> value of the words on p_o."""
    return {int(clock): int(response.p_value[clock]) for clock in np.flatnonzero(response.p_valid)}


def test_after_reset_nothing_is_on_the_outputs(run):
    response = run(SPEC, quiet(SPEC, 3))
    assert all(not field.any() for field in response)


def test_rule_1_activations_and_operation_go_east_one_clock_later(run):
    made = quiet(SPEC, 3)
    made.a[0] = [1, 2, 3, 4]
    issue(made, 0, a=0, slot=1, acc=2, os=True)
    made.a[0] = [1, 2, 3, 4]
    response = run(SPEC, made)
    assert response.a.tolist() == [[0] * 4, [1, 2, 3, 4], [0] * 4]
    assert response.op_mac.tolist() == [0, 1, 0]
    assert (response.op_slot[1], response.op_acc[1], response.op_os[1]) == (1, 2, 1)
    assert not response.op_first.any()


def test_rule_2_a_load_counts_its_row_down_and_ends_at_row_0(run):
    made = quiet(SPEC, 4)
    load(made, 0, 5, row=3, slot=1, index=2)
    load(made, 1, 6, row=0)
    made.w_row[2] = 3  # no load: the row passes unchanged
    response = run(SPEC, made)
    assert response.w_load.tolist() == [0, 1, 0, 0]
    assert response.w_row.tolist() == [0, 2, 0, 3]
    assert (response.w_slot[1], response.w_index[1], response.w_value[1]) == (1, 2, half(5))


def test_rule_2_a_load_for_another_row_leaves_the_weight_alone(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 7, row=0)
    load(made, 1, 9, row=1)
    issue(made, 2, a=2, first=True, last=True)
    assert words(run(SPEC, made)) == {2 + SUM: single(14)}


def test_rule_3_a_mac_sees_the_weight_before_a_load_at_the_same_clock(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 2, index=1)
    load(made, 4, 3, index=3)
    for clock in (4, 5):
        issue(made, clock, a=10, index=1, first=True, last=True)
        made.a[clock, 3] = half(100)
    assert words(run(SPEC, made)) == {4 + SUM: single(20), 5 + SUM: single(300)}


def test_rule_4_the_north_word_is_taken_when_the_product_is_at_the_adder(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 2)
    issue(made, 3, a=4, first=True, last=True)
    for clock, value in ((4, 1000), (5, 100), (6, 2000)):
        made.p_valid[clock], made.p_value[clock] = True, single(value)
    # 3 + Lm = 5: the word of clock 5 is the addend; the others pass (rule 6).
    assert words(run(SPEC, made)) == {5: single(1000), 7: single(2000), 3 + SUM: single(108)}


def test_rule_5_interleaved_sums_accumulate_and_only_last_leaves(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 1, slot=0)
    load(made, 1, 10, slot=1)
    for acc in range(3):
        issue(made, 2 + acc, a=acc + 1, acc=acc, slot=0, first=True)
        issue(made, 5 + acc, a=acc + 1, acc=acc, slot=1, last=True)
    expected = {5 + acc + SUM: single(11 * (acc + 1)) for acc in range(3)}
    assert words(run(SPEC, made)) == expected


def test_rule_5_an_accumulator_read_too_early_gives_the_old_value(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 1)
    issue(made, 1, a=5, first=True)
    issue(made, 1 + SPEC.add_latency - 1, a=1, last=True)
    issue(made, 1 + SPEC.add_latency, a=1, last=True)
    # The first of the two reads one clock before the 5 has landed.
    assert words(run(SPEC, made)) == {3 + SUM: single(1), 4 + SUM: single(6)}


def test_rule_6_an_output_stationary_sum_leaves_by_drain_only(run):
    made = quiet(SPEC, CLOCKS)
    for clock, first, last in ((0, True, False), (3, False, True)):
        issue(made, clock, a=3, os=True, first=first, last=last, acc=1)
        made.w_value[clock] = half(2)
    landed = 3 + SUM
    for clock in (landed - 1, landed):
        made.op_drain[clock], made.op_acc[clock] = True, 1
    assert words(run(SPEC, made)) == {landed: single(6), landed + 1: single(12)}


def test_rule_6_a_drain_wins_over_a_passing_word(run):
    made = quiet(SPEC, 6)
    made.p_valid[:3], made.p_value[:3] = True, single(7)
    made.op_drain[1] = True
    assert words(run(SPEC, made)) == {1: single(7), 2: 0, 3: single(7)}


def test_rule_7_a_result_wins_over_the_pass_register(run):
    made = quiet(SPEC, CLOCKS)
    issue(made, 0, first=True, last=True)
    made.p_valid[:], made.p_value[:] = True, single(3)
    shown = words(run(SPEC, made))
    assert shown[SUM] == single(3) + 0  # 0 x 1 plus the word taken at Lm
    assert SPEC.mul_latency + 1 not in shown  # which did not pass
    assert len(shown) == CLOCKS - 2


def test_a_freeze_stretches_time_and_changes_nothing_else(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 2)
    issue(made, 1, a=4, first=True, last=True)
    made.en[3:8] = False
    made.p_valid[4:6], made.p_value[4:6] = True, single(9)
    assert words(run(SPEC, made)) == {1 + SUM + 5: single(8)}


def test_nan_is_canonical_from_the_adder_but_passes_unchanged(run):
    made = quiet(SPEC, CLOCKS)
    payload = 0xFF812345
    made.p_valid[:2], made.p_value[:2] = True, payload
    issue(made, 4, first=True, last=True)
    made.p_valid[4 + SPEC.mul_latency], made.p_value[4 + SPEC.mul_latency] = True, payload
    assert words(run(SPEC, made)) == {1: payload, 2: payload, 4 + SUM: 0x7FC00000}


def test_subnormal_sums_and_the_sign_of_zero(run):
    made = quiet(SPEC, CLOCKS)
    load(made, 0, 1)
    north = 1 + SPEC.mul_latency
    for offset, (activation, word) in enumerate(
        [(0.0, 0x807FFFFF), (-0.0, 0x80000000), (1, 0xBF800000)]
    ):
        issue(made, 1 + offset, a=activation, first=True, last=True)
        made.p_valid[north + offset], made.p_value[north + offset] = True, word
    # subnormal + 0; (-0) + (-0); exact cancellation gives +0
    assert words(run(SPEC, made)) == {1 + SUM: 0x807FFFFF, 2 + SUM: 0x80000000, 3 + SUM: 0}


def test_block_must_be_a_power_of_two():
    with pytest.raises(ValueError, match="m_max must be a power of two"):
        Uspe(SPEC.model_copy(update={"m_max": 6}))
