"""Group-quantised sparse weights: groups, codes, errors, and the bytes that a trace states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparsesim.errors import InputError
from sparsesim.trace import Block, Gemm
from workloads.extract import extract
from workloads.pruning.group_quantisation import GroupQuantised, quantise

SMALL = ("bert_base", {"layers": 1, "length": 8})


@settings(deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 5), st.integers(1, 20)),
        elements=st.floats(-1e4, 1e4, width=32),
    ),
    st.integers(2, 8),
)
def test_codes_are_the_nearest_ones_and_zero_is_exact(groups: np.ndarray, bits: int) -> None:
    found = quantise(groups, bits)
    assert found.codes.max() < 2**bits
    assert found.zero_points.max() < 2**bits
    scales = found.scales.astype(np.float64)
    error = np.abs(found.values().astype(np.float64) - groups)
    # Half a step, and what rounding the scale to FP16 takes off the ends of the range.
    span = np.abs(groups).max(axis=1, keepdims=True)
    assert (error <= 1.0001 * scales + 0.002 * span).all()
    assert (found.values()[groups == 0] == 0).all()


def test_a_ramp_is_quantised_without_error() -> None:
    ramp = np.arange(-5, 11, dtype=np.float32)[None, :] / 4
    found = quantise(ramp, 4)
    np.testing.assert_array_equal(found.values(), ramp)
    assert found.zero_points == 5
    assert found.scales == 0.25
    np.testing.assert_array_equal(found.codes[0], np.arange(16))


def test_stored_bits_are_those_of_the_arrays() -> None:
    recipe = GroupQuantised(16, 0.25)
    weights = np.random.default_rng(1).standard_normal((1, 8, 1, 64)).astype(np.float32)
    kept = recipe.keep(weights).reshape(-1, 16)
    assert (kept.all(axis=1) | ~kept.any(axis=1)).all()
    rows = weights.reshape(-1, 16)[kept[:, 0]]
    sums = np.abs(weights.reshape(-1, 16)).sum(axis=1)
    assert sums[kept[:, 0]].min() > sums[~kept[:, 0]].max()
    found = quantise(rows, recipe.bits)
    assert recipe.stored_bits(weights.shape) == {
        "codes": 4 * found.codes.size,
        "scales": 16 * found.scales.size,
        "zero_points": 4 * found.zero_points.size,
        "group_indices": 16 * int(kept[:, 0].sum()),
        "row_pointers": 32 * 9,
    }


def test_a_trace_states_bytes_and_errors() -> None:
    pytest.importorskip("torch")
    trace = extract(SMALL[0], prune="gqsa:16:0.5", phase="inference", batch=1, parameters=SMALL[1])
    provenance = trace.manifest.provenance
    said = provenance["quantised"]
    assert (provenance["quantised_bits"], provenance["quantised_group"]) == (4, 16)
    pruned = {
        operator.layer: operator
        for operator in trace.operators
        if isinstance(operator, Gemm) and isinstance(operator.b.pattern, Block)
    }
    assert len(said) > 5
    assert set(said) == set(pruned)
    for layer, stored in said.items():
        product = pruned[layer]
        pattern = product.b.pattern
        assert isinstance(pattern, Block)
        assert (pattern.rows, pattern.columns) == (1, 16)
        weights = product.groups * product.n * product.k
        groups = round(weights * pattern.density) // 16
        # 4-bit codes and zero points, FP16 scales, 16-bit indices, 32-bit row pointers.
        assert stored["codes_bytes"] == groups * 8
        assert stored["scales_bytes"] == stored["group_indices_bytes"] == groups * 2
        assert stored["zero_points_bytes"] == -(-groups // 2)
        assert stored["row_pointers_bytes"] == 4 * (product.n + 1)
        assert 0.02 < stored["relative_error"] < 0.2
    assert provenance["quantised_bytes"] == sum(s["stored_bytes"] for s in said.values())


def test_lazily_only_the_bytes_are_stated() -> None:
    pytest.importorskip("torch")
    trace = extract(
        SMALL[0], prune="gqsa:16:0.5", phase="inference", batch=1, parameters=SMALL[1], lazy=True
    )
    for stored in trace.manifest.provenance["quantised"].values():
        assert "relative_error" not in stored
        assert stored["stored_bytes"] > 0


def test_training_is_refused() -> None:
    with pytest.raises(InputError, match=r"gqsa:16:0\.5: quantises for inference"):
        extract("digits_cnn", prune="gqsa:16:0.5")
