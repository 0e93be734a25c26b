"""Masks on the engine: balanced ones run, others are refused by name or padded at a real cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.s4.filters import filters_of
from sparsesim.simulate import run
from sparsesim.trace import (
    NM,
    Balanced,
    Block,
    Dense,
    Gemm,
    Manifest,
    Mask,
    Operand,
    Pattern,
    Tensor,
    Trace,
    Unstructured,
    pack,
)

Bits = npt.NDArray[np.bool_]


def masked(mask: Bits, pattern: Pattern, m: int = 64) -> Trace:
    """One GEMM whose weights have `mask` (filters, reduction)."""
    n, k = mask.shape
    tensors = [("x", (m, k), "activation"), ("w", (n, k), "weight"), ("y", (m, n), "activation")]
    return Trace(
        Manifest(
            name="masked",
            tensors=[Tensor(name=a, shape=s, dtype="int8", role=r) for a, s, r in tensors],
            masks=[Mask(id="w", tensor="w", rows=n, columns=k)],
            operators=[
                Gemm(
                    name="fc", layer="fc", phase="inference", m=m, n=n, k=k,
                    a=Operand(tensor="x"), b=Operand(tensor="w", pattern=pattern, mask="w"),
                    output="y",
                )
            ],
        ),
        {"w": pack(mask)},
    )  # fmt: skip


def balanced(n: int, k: int, group: int, kept: int, seed: int = 0) -> Bits:
    order = np.random.default_rng(seed).random((n, k // group, group)).argsort(axis=2)
    return (order < kept).reshape(n, k)


def steps(trace: Trace, **overrides: object) -> npt.NDArray[np.int64]:
    gemm = trace.operators[0]
    assert isinstance(gemm, Gemm)
    return filters_of(trace, gemm, load_machine("s4", overrides).spec).steps


@pytest.mark.parametrize("kept", [1, 2, 4, 8, 16])
def test_balanced_masks_take_their_share_of_the_steps(kept: int) -> None:
    trace = masked(balanced(64, 256, 32, kept), Balanced(group=32, kept=kept))
    assert (steps(trace) == kept).all()
    assert run(trace, "s4").padding is None


def test_conforming_nm_is_balanced_too() -> None:
    trace = masked(balanced(64, 256, 8, 2), NM(n=2, m=8))
    assert (steps(trace) == 8).all()
    run(trace, "s4")


@given(st.integers(0, 63), st.integers(0, 7), st.booleans())
@settings(max_examples=40, deadline=None)
def test_one_wrong_group_is_found_by_name(row: int, group: int, more: bool) -> None:
    mask = balanced(64, 256, 32, 4)
    span = mask[row, group * 32 : group * 32 + 32]
    span[np.flatnonzero(span != more)[0]] = more
    trace = masked(mask, Unstructured(density=0.125))
    with pytest.raises(InputError) as caught:
        run(trace, "s4")
    text = str(caught.value)
    assert "\n" not in text
    assert "layer 'fc'" in text
    assert f"filter {row}, group {group} keeps {5 if more else 3} of 32" in text
    assert "--pad" in text


def test_padding_with_pairs_costs_the_fullest_group_of_the_layer() -> None:
    mask = balanced(64, 256, 32, 4)
    mask[37, 64:96] = np.arange(32) < 5
    result = run(masked(mask, Unstructured(density=0.13)), "s4", pad=True)
    assert result.padding["layers_padded"] == 1
    assert result.padding["layers"]["fc"]["padded_to"] == 64 * 8 * 8  # 5 rounded up to 8
    assert result.padding["cost"] == pytest.approx(64 * 8 * 8 / int(mask.sum()))


@given(st.floats(0.03, 0.6), st.integers(0, 1000), st.integers(1, 70), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_bitmap_costs_the_fullest_lane_of_each_tile_and_group(
    density: float, seed: int, n: int, groups: int
) -> None:
    mask = np.random.default_rng(seed).random((n, groups * 32)) < density
    found = steps(masked(mask, Unstructured(density=density)), weight_format="bitmap")
    for tile in range(-(-n // 32)):
        lanes = mask[tile * 32 : tile * 32 + 32].reshape(-1, groups, 32).sum(axis=2)
        most = lanes.max(axis=0)
        if most.sum() == 0:
            most[0] = 1
        assert found[tile].tolist() == most.tolist()


@pytest.mark.parametrize("row", [0, 20, 63])
def test_lanes_are_busy_for_every_product_wherever_it_is(row: int) -> None:
    """Of SPUs that issue equally many padded steps, some may have no pair at all."""
    mask = np.zeros((64, 32), np.bool_)
    mask[row, :3] = True
    overrides = {"cols": 4, "drain_results": 4}
    result = run(masked(mask, Unstructured(density=0.01), 640), "s4", overrides=overrides, pad=True)
    op = next(op for op in result.operators if op.operator == "fc")
    assert op.macs_effective == 640 * 3
    assert op.macs_effective <= result.machine["peak_macs_per_cycle"] * op.busy_cycles


def test_imbalance_is_seen_and_blocks_of_whole_tiles_have_none() -> None:
    rng = np.random.default_rng(1)
    scattered = rng.random((256, 1024)) < 1 / 8
    blocks = np.kron(rng.random((8, 32)) < 1 / 8, np.ones((32, 32))).astype(bool)
    pattern = Block(rows=32, columns=32, density=0.125)
    a = run(masked(scattered, Unstructured(density=0.125), 2048), "s4",
            overrides={"weight_format": "bitmap"}, pad=True)  # fmt: skip
    b = run(masked(blocks, pattern, 2048), "s4",
            overrides={"weight_format": "bitmap"}, pad=True)  # fmt: skip
    of = {name: next(op for op in r.operators if op.operator == "fc") for name, r in
          (("a", a), ("b", b))}  # fmt: skip
    assert of["a"].stall_cycles["imbalance"] > of["a"].busy_cycles * 0.5
    assert of["a"].cycles > 1.4 * of["b"].cycles


def test_constant_fan_in_is_balanced_in_count_but_not_in_groups() -> None:
    rng = np.random.default_rng(2)
    mask = rng.random((64, 512)).argsort(axis=1) < 64
    trace = masked(mask, Unstructured(density=0.125))
    with pytest.raises(InputError, match="balanced pattern is broken"):
        run(trace, "s4")
    assert run(trace, "s4", pad=True).padding["cost"] > 2


def test_no_mask_to_pad_is_said() -> None:
    trace = masked(balanced(64, 256, 32, 4), Unstructured(density=0.125))
    gemm = trace.operators[0]
    bare = gemm.model_copy(update={"b": Operand(tensor="w", pattern=Unstructured(density=0.1))})
    manifest = trace.manifest.model_copy(update={"operators": (bare,), "masks": ()})
    with pytest.raises(InputError, match="has no mask to pad"):
        run(Trace(manifest, {}), "s4", pad=True)


@pytest.mark.parametrize("weight_format", ["pairs", "bitmap"])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_check_runs_padded_masks_through_the_stepped_core(
    weight_format: str, precision: str
) -> None:
    mask = np.random.default_rng(3).random((40, 96)) < 0.1
    overrides = {"weight_format": weight_format, "precision": precision}
    trace = masked(mask, Unstructured(density=0.1), 20)
    result = run(trace, "s4", overrides=overrides, check=True, pad=True)
    assert result.check["operators_checked"] == 1


def test_pad_needs_a_machine_with_a_pattern() -> None:
    with pytest.raises(InputError, match="--pad: machine family 'sat'"):
        run(masked(balanced(8, 32, 8, 2), NM(n=2, m=8)), "sat", pad=True)


@pytest.mark.parametrize(
    ("rows", "kept", "low", "high"),
    [(1, 32, 0.45, 0.55), (2, 32, 0.7, 0.8), (16, 32, 0.99, 1.0), (1, 2, 0.99, 1.0)],
)
def test_zero_activations_save_steps_only_in_dense_layers_of_few_rows(
    rows: int, kept: int, low: float, high: float
) -> None:
    mask = balanced(64, 2048, 32, kept)
    trace = masked(mask, Balanced(group=32, kept=kept), rows)

    def busy(density: float) -> int:
        result = run(trace, "s4", overrides={"activation_density": density})
        return next(op.macs_effective for op in result.operators if op.operator == "fc")

    assert low <= busy(0.5) / busy(1.0) <= high


@given(st.integers(0, 1000), st.integers(1, 40), st.floats(0.05, 0.9))
@settings(max_examples=25, deadline=None)
def test_measured_zeros_skip_the_channels_that_a_tile_of_rows_lacks(
    seed: int, m: int, density: float
) -> None:
    """Against brute force: of the tiles of 16 rows, the typical one's live channels are steps."""
    live = np.random.default_rng(seed).random((m, 100)) < density
    live[0, 0] = True
    trace = measured(live)
    counts = [int(live[row : row + 16].any(axis=0).sum()) for row in range(0, m, 16)]
    typical = min(count for count in counts if count >= np.mean(counts))
    result = run(trace, "s4", overrides={"activation_density": "trace"})
    assert next(op for op in result.operators if op.operator == "fc").macs_effective == (
        m * 64 * typical
    )
    plain = run(trace, "s4")
    assert next(op for op in plain.operators if op.operator == "fc").macs_effective == m * 64 * 100


def test_skipping_saves_fetches_but_no_room() -> None:
    """Weights that do not fit on chip do not fit because some of them are not needed this time."""
    trace = masked(np.ones((512, 1024), np.bool_), Dense(), 1)
    room = {"l2_bytes": 512 * 1024 * 3 // 4, "cores": 1}

    def weights(density: float) -> int:
        result = run(trace, "s4", overrides=room | {"activation_density": density})
        return next(op for op in result.operators if op.operator == "fc").bytes["dram_b_read"]

    assert weights(1.0) == 512 * 1024
    assert weights(0.5) == pytest.approx(512 * 1024 / 2, rel=0.05)


@pytest.mark.parametrize(("rows", "density"), [(1, 0.1), (2, 0.1), (1, 0.02)])
def test_skipping_of_indexed_steps_equals_brute_force(rows: int, density: float) -> None:
    """A step is dead if no lane's channel, in order of channel, is live in any row."""
    rng = np.random.default_rng(5)
    alive = steps = 0
    for _ in range(400):
        live = (rng.random((rows, 32)) < density).any(axis=0)
        channels = np.sort(rng.random((32, 32)).argsort(axis=1)[:, :4], axis=1)
        alive += sum(live[channels[:, step]].any() for step in range(4))
        steps += 4
    trace = masked(balanced(64, 8192, 32, 4), Balanced(group=32, kept=4), rows)
    plain, skipped = (
        next(op for op in run(trace, "s4", overrides={"activation_density": share}).operators
             if op.operator == "fc").macs_effective
        for share in (1.0, density)
    )  # fmt: skip
    assert skipped / plain == pytest.approx(alive / steps, abs=0.05)


def measured(live: Bits) -> Trace:
    """One dense GEMM of 64 filters whose activations are non-zero where `live` says."""
    m, k = live.shape
    tensors = [("x", (m, k), "activation"), ("w", (64, k), "weight"), ("y", (m, 64), "activation")]
    zeros = Unstructured(density=float(live.mean()))
    return Trace(
        Manifest(
            name="measured",
            tensors=[Tensor(name=a, shape=s, dtype="int8", role=r) for a, s, r in tensors],
            masks=[Mask(id="x", tensor="x", rows=m, columns=k)],
            operators=[
                Gemm(
                    name="fc", layer="fc", phase="inference", m=m, n=64, k=k,
                    a=Operand(tensor="x", pattern=zeros, mask="x"), b=Operand(tensor="w"),
                    output="y",
                )
            ],
        ),
        {"x": pack(live)},
    )  # fmt: skip
