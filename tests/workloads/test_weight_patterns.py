"""The pattern that the zeros of a weight follow, against masks made to follow it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.trace import NM, Balanced, Block, Dense, Unstructured
from sparsesim.trace.masks import first_violation, pack
from sparsesim.trace.patterns import Pattern
from workloads.pruning.structures import ConstantFanIn
from workloads.weight_patterns import detect

Kept = npt.NDArray[np.bool_]


def grouped(rng: np.random.Generator, shape: tuple[int, ...], n: int, m: int) -> Kept:
    """Exactly `n` ones in every `m` along the last axis."""
    draws = rng.random((*shape[:-1], shape[-1] // m, m))
    return (draws.argsort(-1).argsort(-1) < n).reshape(shape)


def turned(kept: Kept) -> Kept:
    """(groups, outputs, taps, inputs) with the two channel axes exchanged."""
    return np.ascontiguousarray(kept.transpose(0, 3, 2, 1))


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    outputs, inputs = (32 * draw(st.integers(1, 4)) for _ in range(2))
    return draw(st.sampled_from([1, 1, 2])), outputs, draw(st.sampled_from([1, 9])), inputs


@given(shapes(), st.sampled_from([(1, 2), (2, 4), (1, 4), (2, 8), (3, 8), (4, 16)]),
       st.integers(0, 99))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_groups_are_found_along_either_channel(
    shape: tuple[int, int, int, int], group: tuple[int, int], seed: int
) -> None:
    n, m = group
    kept = grouped(np.random.default_rng(seed), shape, n, m)
    found = detect(kept)
    assert found.forward == NM(n=n, m=m)
    assert found.backward == NM(n=n, m=m, axis="n")
    assert found.words == f"{n}:{m} along the input channels"
    assert found.density == n / m
    other = detect(turned(kept))
    assert other.forward == NM(n=n, m=m, axis="n")
    assert other.backward == NM(n=n, m=m)
    assert other.words == f"{n}:{m} along the output channels"


def test_what_is_claimed_holds_on_the_stored_bits() -> None:
    rng = np.random.default_rng(0)
    kept = grouped(rng, (1, 64, 9, 32), 2, 4)
    for mask in (kept, turned(kept)):
        found = detect(mask)
        groups, outputs, taps, inputs = mask.shape
        rows = mask.reshape(groups * outputs, taps * inputs)
        assert first_violation(pack(rows), rows.shape[1], found.forward) is None
        back = turned(mask).reshape(groups * inputs, taps * outputs)
        assert first_violation(pack(back), back.shape[1], found.backward) is None


def test_a_transposable_mask_is_claimed_along_both() -> None:
    tile = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]], dtype=np.bool_)
    found = detect(np.tile(tile, (8, 8)).reshape(1, 32, 1, 32))
    assert found.words == "2:4 along both channels (transposable)"
    assert found.forward == found.backward == NM(n=2, m=4)


@pytest.mark.parametrize(("kept", "group"), [(2, 32), (16, 32), (1, 32), (3, 64)])
def test_equal_counts_in_long_groups_are_balanced(kept: int, group: int) -> None:
    mask = grouped(np.random.default_rng(1), (1, 64, 1, 128), kept, group)
    found = detect(mask)
    assert found.forward == Balanced(group=group, kept=kept)
    assert found.words == f"balanced {kept}/{group} along the input channels"


def test_a_few_groups_may_keep_fewer() -> None:
    mask = grouped(np.random.default_rng(2), (1, 64, 1, 64), 2, 4)
    mask[0, 0, 0, :8] = False  # weights that are zero by themselves
    assert detect(mask).forward == NM(n=2, m=4)


@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (8, 8), (16, 32), (1, 16), (8, 1)])
def test_blocks(rows: int, columns: int) -> None:
    coarse = np.random.default_rng(3).random((64 // rows, 128 // columns)) < 0.3
    kept = np.kron(coarse, np.ones((rows, columns), dtype=np.bool_)).reshape(1, 64, 1, 128)
    found = detect(kept)
    density = float(kept.mean())
    assert found.forward == Block(rows=rows, columns=columns, density=density)
    assert found.backward == Block(rows=columns, columns=rows, density=density)


def test_removed_channels() -> None:
    filters = np.ones((1, 16, 9, 8), dtype=np.bool_)
    filters[0, [1, 5, 6]] = False
    found = detect(filters)
    assert found.words == "whole rows (3 of 16 output channels removed)"
    assert found.forward == Block(rows=1, columns=72, density=13 / 16)
    assert found.backward == Block(rows=8, columns=1, density=13 / 16)
    inputs = np.ones((1, 16, 1, 8), dtype=np.bool_)
    inputs[..., [0, 3, 4]] = False
    assert detect(inputs).forward == Block(rows=16, columns=1, density=5 / 8)


def test_constant_fan_in() -> None:
    rng = np.random.default_rng(4)
    kept = (rng.random((1, 40, 1, 50)).argsort(-1).argsort(-1) < 7).reshape(1, 40, 1, 50)
    found = detect(kept)
    assert found.words == "constant fan-in 7 of 50"
    assert found.forward == Balanced(group=50, kept=7)
    kept[0, 3] = False  # SRigL removes whole neurons
    found = detect(kept)
    assert found.words == "constant fan-in 7 of 50 (1 empty rows)"
    assert isinstance(found.forward, Unstructured)


@pytest.mark.parametrize("removed", [0.5, 0.75, 0.9, 0.98])
@pytest.mark.parametrize(("taps", "inputs"), [(1, 64), (1, 96), (1, 1024), (9, 64)])
def test_weights_of_constant_fan_in_are_recognised(taps: int, inputs: int, removed: float) -> None:
    """Whole rows of equal counts are no N:M groups, even where the row is a power of two."""
    recipe = ConstantFanIn(1.0 - removed)
    shape = (1, 48, taps, inputs)
    weights = np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    found = detect(recipe.keep(weights))
    assert found.words == f"constant fan-in {recipe.fan_in(shape)} of {taps * inputs}"
    assert found.forward == recipe.claim(shape, "FF")
    assert found.backward == recipe.claim(shape, "BP")


@pytest.mark.parametrize("density", [0.05, 0.1, 0.5, 0.9, 0.95])
def test_random_zeros_are_unstructured(density: float) -> None:
    kept = np.random.default_rng(5).random((1, 128, 9, 64)) < density
    found = detect(kept)
    assert found.forward == Unstructured(density=float(kept.mean()))
    assert found.words == f"unstructured {1 - kept.mean():.1%}"


def test_nearly_no_zeros_and_nothing_but_zeros_are_dense() -> None:
    kept = np.ones((1, 64, 1, 64), dtype=np.bool_)
    assert detect(kept).words == "dense"
    kept[0, 0, 0, 0] = kept[0, 5, 0, 9] = False
    assert detect(kept).words == "dense (2 zeros)"
    for mask in (kept, np.zeros_like(kept)):
        patterns: tuple[Pattern, Pattern] = (detect(mask).forward, detect(mask).backward)
        assert patterns == (Dense(), Dense())
    assert detect(np.zeros_like(kept)).words == "all zero: counted dense"
