"""The stimuli are reproducible, legal, and really contain what they are for."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")

from hw.sat.uspe_reference import run_reference
from hw.sat.uspe_stimuli import KINDS, stimulus, with_freezes
from hw.sat.uspe_unit import UspeUnit
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.spec import UspeSpec

SPEC = UspeSpec(rows=5, m_max=8, n_max=3, interleave=3, mul_latency=2, add_latency=4)
TINY = UspeSpec(rows=1, m_max=1, n_max=1, interleave=1, mul_latency=1, add_latency=1)


def test_a_case_depends_on_seed_and_number_only():
    for case in range(len(KINDS)):
        first, again = stimulus(SPEC, 3, case), stimulus(SPEC, 3, case)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(stimulus(SPEC, 3, 0).a, stimulus(SPEC, 4, 0).a)


@pytest.mark.parametrize("spec", [SPEC, TINY], ids=["usual", "tiny"])
@pytest.mark.parametrize("kind", KINDS)
def test_fields_stay_in_range(kind, spec):
    for seed in range(20):
        made = KINDS[kind](spec, np.random.default_rng(seed))
        assert {len(field) for field in made} == {len(made.en)}
        for name, below in (
            ("op_slot", spec.n_max),
            ("w_slot", spec.n_max),
            ("op_acc", spec.interleave),
            ("w_index", spec.m_max),
            ("w_row", spec.rows),
        ):
            values = getattr(made, name)
            assert values.min() >= 0, name
            assert values.max() < below, name


def test_freezes_keep_the_sequence_of_enabled_clocks():
    rng = np.random.default_rng(5)
    made = KINDS["noise"](SPEC, rng)
    stretched = with_freezes(made, rng)
    assert not stretched.en.all()
    for before, after in zip(made, stretched, strict=True):
        assert np.array_equal(before, after[stretched.en])


@pytest.mark.parametrize("kind", ["weight_stationary", "output_stationary"])
def test_schedules_send_their_results_south(kind):
    made = KINDS[kind](SPEC, np.random.default_rng(1))
    response = run_reference(SPEC, made)
    if kind == "weight_stationary":
        results = (made.op_last & ~made.op_os).nonzero()[0] + SPEC.mul_latency + SPEC.add_latency
        assert len(results)
    else:
        results = made.op_drain.nonzero()[0] + 1
        assert made.op_os[made.op_mac].all()
    assert response.p_valid[results].all()


def test_the_cases_reach_the_corners():
    """Freezes, special values, hazards and collisions all occur in the default number of cases."""
    cases = [stimulus(SPEC, 0, case) for case in range(70)]
    seen = {
        "freeze": sum(int((~made.en).sum()) for made in cases),
        "drain against word": sum(int((made.op_drain & made.p_valid).sum()) for made in cases),
        "load against mac of the slot": sum(
            int(
                (
                    made.op_mac & made.w_load & (made.w_row == 0) & (made.op_slot == made.w_slot)
                ).sum()
            )
            for made in cases
        ),
        "load that goes on": sum(int((made.w_load & (made.w_row > 0)).sum()) for made in cases),
    }
    values = np.concatenate(
        [
            response.p_value[response.p_valid]
            for response in (run_reference(SPEC, made) for made in cases)
        ]
    )
    magnitude = values & 0x7FFFFFFF
    seen |= {
        "subnormal": int(((magnitude > 0) & (magnitude < 0x800000)).sum()),
        "infinity": int((magnitude == 0x7F800000).sum()),
        "canonical nan": int((values == 0x7FC00000).sum()),
        "negative zero": int((values == 0x80000000).sum()),
    }
    assert all(count >= 20 for count in seen.values()), seen


def test_unit_names_its_ports_as_the_hardware_does():
    from hw.component_ports import port_values

    unit = UspeUnit(load_machine("sat").spec)
    ports = list(port_values(unit.component()))
    inputs = unit.stimulus(0, 0)
    assert set(inputs) == {port.name for port in ports if port.direction == "input"}
    assert set(unit.meanings()) == {port.name for port in ports}
