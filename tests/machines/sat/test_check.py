"""Does `--check` pass on what is right, and catch a wrong value, index or clock?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sparsesim.errors import CheckError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat import check
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.trace import NM, Manifest, Mask, Tensor, Trace, pack
from tests.machines.sat.gemm_operators import convolution, gemm

PATTERN = NM(n=2, m=8)


@pytest.fixture
def spec() -> SatSpec:
    small = {"rows": 4, "cols": 4, "m_max": 8, "n_max": 2, "act_banks": 8}
    return load_machine("sat", small).spec


def masked_trace() -> tuple[Trace, npt.NDArray[np.bool_]]:
    """A dense and a pruned convolution, and two linear layers (one operand each stored 2:8)."""
    rng = np.random.default_rng(5)
    kept = rng.random((8, 9, 8)).argsort(axis=2) < 2
    mask = kept.reshape(8, 72)
    pruned = convolution(1, 6, 8, 8, 3, name="pruned", b=PATTERN)
    pruned = pruned.model_copy(update={"b": pruned.b.model_copy(update={"mask": "stored"})})
    tensors = tuple(
        Tensor(name=name, shape=(576,), dtype="float16", role="weight") for name in "abc"
    )
    manifest = Manifest(
        name="masked",
        tensors=tensors,
        masks=(Mask(id="stored", tensor="b", rows=8, columns=72),),
        operators=(
            convolution(1, 6, 3, 5, 3, name="dense"),
            pruned,
            gemm(9, 8, 72, name="linear", b=PATTERN, b_mask="stored"),
            gemm(8, 9, 72, name="swapped", a=PATTERN, a_mask="stored", phase="BP"),
            convolution(1, 6, 3, 5, 3, name="update", weight_update=True),
        ),
    )
    trace = Trace(manifest, {"stored": pack(mask)})
    trace.check_masks("test")
    return trace, mask


def test_right_results_pass(spec: SatSpec) -> None:
    trace, _mask = masked_trace()
    seen: list[tuple[int, int]] = []
    found = check.check_operators(trace, spec, 3, lambda done, of: seen.append((done, of)))
    assert found["passes_checked"] == found["passes"] >= 20
    assert set(found["operators"]) == {operator.name for operator in trace.operators}
    assert all(
        entry["largest_relative_error_to_float64"] < 1e-4 for entry in found["operators"].values()
    )
    assert seen == [(done, 5) for done in range(1, 6)]


def test_large_operator_is_sampled(spec: SatSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "BUDGET_PE_CLOCKS", 10_000)
    trace, _mask = masked_trace()
    found = check.check_operators(trace, spec, 3)
    assert 5 <= found["passes_checked"] < found["passes"]


@pytest.mark.parametrize("name", ["pruned", "linear", "swapped"])
def test_stored_mask_is_the_one_used(
    spec: SatSpec, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    trace, mask = masked_trace()
    given: dict[int, Any] = {}
    operands = check.Operands

    def watched(problem: Any, kept_mask: Any, seed: int) -> Any:
        given[seed] = kept_mask
        return operands(problem, kept_mask, seed)

    monkeypatch.setattr(check, "Operands", watched)
    check.check_operators(trace, spec, 0)
    number = [operator.name for operator in trace.operators].index(name)
    np.testing.assert_array_equal(given[number], mask)


@pytest.mark.parametrize("argument", [4, 5], ids=["weights", "indices"])
def test_wrong_weight_or_index_is_caught(
    spec: SatSpec, monkeypatch: pytest.MonkeyPatch, argument: int
) -> None:
    right = check.run_pass

    def faulty(*arguments: Any) -> Any:
        changed = list(arguments)
        changed[argument] = arguments[argument].copy()
        if argument == 4:
            changed[argument][0, 0] += 1
        else:
            changed[argument][0, 0] ^= 1
        return right(*changed)

    monkeypatch.setattr(check, "run_pass", faulty)
    trace, _mask = masked_trace()
    sparse_only = trace.manifest.model_copy(update={"operators": trace.operators[1:2]})
    with pytest.raises(CheckError, match=r"operator 'pruned': pass .* differs from NumPy in value"):
        check.check_operators(Trace(sparse_only, trace.bits), spec, 3)


@pytest.mark.parametrize("column", range(7))
def test_clock_off_by_one_is_caught(
    spec: SatSpec, monkeypatch: pytest.MonkeyPatch, column: int
) -> None:
    right = check.pass_outcome

    def faulty(*arguments: Any) -> Any:
        outcome = right(*arguments).copy()
        outcome[column] += 1
        return outcome

    monkeypatch.setattr(check, "pass_outcome", faulty)
    trace, _mask = masked_trace()
    with pytest.raises(CheckError, match=r"operator 'dense': pass .* stepped clocks"):
        check.check_operators(trace, spec, 3)


def test_wrong_accumulation_of_passes_is_caught(
    spec: SatSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass that is right but is added twice shows in the accumulated result."""
    right = check._passes

    def twice(*arguments: Any) -> Any:
        passes = right(*arguments)
        return [*passes, passes[0]]

    monkeypatch.setattr(check, "_passes", twice)
    trace, _mask = masked_trace()
    with pytest.raises(CheckError, match="differs from NumPy's float64 product"):
        check.check_operators(trace, spec, 3)
