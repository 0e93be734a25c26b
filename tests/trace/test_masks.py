"""Bit-packed masks against plain boolean arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparsesim.trace import NM, Balanced, Dense, Generator, Mask, Unstructured, masks, pack, unpack
from tests.trace.small_traces import patterns, random_mask

FAST = settings(max_examples=80, deadline=None)


def generated(pattern: Dense | NM | Balanced | Unstructured, rows: int, columns: int, seed: int):
    generator = Generator(pattern=pattern, seed=seed)
    mask = Mask(id="w", tensor="w", rows=rows, columns=columns, generator=generator)
    return masks.generate(mask)


@FAST
@given(mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_packing(mask: np.ndarray) -> None:
    bits = pack(mask)
    np.testing.assert_array_equal(unpack(bits, mask.shape[1]), mask)
    assert (
        bits.shape
        == Mask(id="w", tensor="w", rows=mask.shape[0], columns=mask.shape[1]).packed_shape
    )
    assert masks.kept(bits) == mask.sum()
    for row, column in np.ndindex(mask.shape):  # the documented bit order
        assert (bits[row, column // 8] >> (column % 8)) & 1 == mask[row, column]


@FAST
@given(
    rows=st.integers(1, 6),
    groups=st.integers(1, 4),
    group=st.sampled_from([1, 3, 8, 16, 300, 512]),
    seed=st.integers(0, 9),
)
def test_group_counts(rows: int, groups: int, group: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, groups * group)) < 0.9
    counts = masks.group_counts(pack(mask), groups * group, group)
    np.testing.assert_array_equal(counts, mask.reshape(rows, groups, group).sum(axis=2))


@FAST
@given(pattern=patterns(), rows=st.integers(1, 5), groups=st.integers(1, 4), data=st.data())
def test_the_first_violation(
    pattern: Dense | NM | Balanced | Unstructured, rows: int, groups: int, data: st.DataObject
) -> None:
    group = masks.group_length(pattern)
    columns = groups * group
    mask = random_mask(pattern, rows, columns, data.draw(st.integers(0, 99)))
    assert masks.first_violation(pack(mask), columns, pattern) is None
    limit = pattern.n if isinstance(pattern, NM) else getattr(pattern, "kept", group)
    if limit == group:
        return
    row, where = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, groups - 1))
    mask[row, where * group : (where + 1) * group] = True
    assert masks.first_violation(pack(mask), columns, pattern) in (None, (row, where, group))
    broken = isinstance(pattern, NM | Balanced)
    assert (masks.first_violation(pack(mask), columns, pattern) is not None) == broken


def test_a_balanced_mask_may_not_keep_less_either() -> None:
    mask = np.ones((2, 8), dtype=np.bool_)
    mask[1, 4:] = False
    assert masks.first_violation(pack(mask), 8, Balanced(group=4, kept=4)) == (1, 1, 0)
    assert masks.first_violation(pack(mask), 8, NM(n=4, m=4)) is None


def test_groups_down_the_rows() -> None:
    mask = np.zeros((8, 3), dtype=np.bool_)
    mask[4:7, 2] = True
    assert masks.first_violation(pack(mask), 3, NM(n=2, m=4, axis="n")) == (2, 1, 3)
    assert masks.first_violation(pack(mask), 3, NM(n=3, m=4, axis="n")) is None


@FAST
@given(
    pattern=patterns(), rows=st.integers(1, 9), groups=st.integers(1, 5), seed=st.integers(0, 99)
)
def test_generated_masks(
    pattern: Dense | NM | Balanced | Unstructured, rows: int, groups: int, seed: int
) -> None:
    group = masks.group_length(pattern)
    columns = groups * group
    bits = generated(pattern, rows, columns, seed)
    np.testing.assert_array_equal(bits, generated(pattern, rows, columns, seed))
    assert masks.first_violation(bits, columns, pattern) is None
    if isinstance(pattern, NM | Dense):  # exactly N, not only at most N
        keep = pattern.n if isinstance(pattern, NM) else 1
        assert masks.kept(bits) == rows * groups * keep


def test_a_generated_mask_does_not_depend_on_how_it_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pattern = NM(n=2, m=8)
    at_once = generated(pattern, 50, 64, seed=5)
    monkeypatch.setattr(masks, "_DRAWN_AT_ONCE", 3 * 64)
    np.testing.assert_array_equal(generated(pattern, 50, 64, seed=5), at_once)
    assert not np.array_equal(generated(pattern, 50, 64, seed=6), at_once)


def test_known_bits_of_a_generated_mask() -> None:
    """A released trace must draw the same mask for ever."""
    assert generated(NM(n=2, m=8), 2, 32, seed=0).tobytes().hex() == "14889005211242a0"
    density = Unstructured(density=0.25)
    assert generated(density, 2, 32, seed=0).tobytes().hex() == "0ca830000140a96c"


def test_an_unstructured_mask_has_about_its_density() -> None:
    bits = generated(Unstructured(density=0.1), 500, 1000, seed=3)
    assert masks.kept(bits) / 500_000 == pytest.approx(0.1, abs=0.003)
