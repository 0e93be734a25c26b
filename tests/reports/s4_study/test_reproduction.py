"""The fit: it finds the knob that made the rate it is fitted on, and touches nothing else."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from reports.s4_study.cases import Case
from reports.s4_study.reproduction import (
    Point,
    PublishedFile,
    read_published,
    reproduce,
)
from reports.s4_study.simulation import captured, sparse
from sparsesim.machines.registry import load_machine
from sparsesim.simulate import run
from tests.reports.s4_study.small_network import SOURCE


def point(machine: str, rate: float, fitted: bool) -> Point:
    return Point(
        name=machine, machine=machine, source=SOURCE, batch=4, sparsity=8,
        samples_per_second=rate, fitted=fitted, evidence="made here",
    )  # fmt: skip


def test_the_fit_recovers_the_knob_and_predicts_the_rest() -> None:
    trace = sparse(captured(Case(SOURCE, 4, "small")), 8)

    def rate(machine: str, **knobs: int) -> float:
        return 4 / run(trace, machine, overrides=knobs).seconds

    made = PublishedFile(
        points=(
            point("s4", rate("s4", operator_clocks=100), True),
            point("s10", 1.0, False),
            point("t4", 1.0, False),
        ),
        knobs={"operator_clocks": (450, 200, 100, 0)},
    )
    found = reproduce(made)
    assert found.knobs == {"operator_clocks": 100}
    rows = found.table.set_index("point")
    assert rows.loc["s4", "calibrated_error"] == pytest.approx(0.0, abs=1e-12)
    assert rows.loc["s4", "predicted_per_second"] == rate("s4")
    assert rows.loc["s10", "calibrated_per_second"] == rate("s10", operator_clocks=100)
    # Knobs are the family's own: other machines stay as they are.
    assert rows.loc["t4", "calibrated_per_second"] == rows.loc["t4", "predicted_per_second"]


def test_at_most_two_knobs_all_assumed_fitted_on_one_point() -> None:
    published = read_published()
    assert 1 <= len(published.knobs) <= 2
    provenance = load_machine("s4").provenance
    assert {provenance[knob].status for knob in published.knobs} == {"assumed"}
    spec = load_machine("s4").spec
    assert all(values[0] == getattr(spec, knob) for knob, values in published.knobs.items())
    assert [entry.source for entry in published.points if entry.fitted] == ["resnet50"]
    assert all(entry.evidence for entry in published.points)
