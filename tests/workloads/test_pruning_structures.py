"""Structures and allocations against their definitions, and as operands of a trace."""

from __future__ import annotations

import numpy as np
import pytest

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Block, Unstructured
from sparsesim.trace.masks import unpack
from workloads.forward_graph import Weight, WeightArray
from workloads.pruning.methods import plan_layers
from workloads.pruning.structures import Structure
from workloads.pruning.weight_masks import WeightMasks
from workloads.recipe import parse_pruning


def weight(
    name: str, outputs: int, inputs: int, taps: int = 1, groups: int = 1, scale: float = 1.0
) -> Weight:
    def values() -> WeightArray:
        rng = np.random.default_rng(len(name) + outputs)
        drawn = rng.standard_normal((groups, outputs, taps, inputs)).astype(np.float32)
        return (scale * drawn).astype(np.float32)

    return Weight(f"{name}.weight", name, groups, outputs, taps, inputs, False, values)


def cut(one: Weight, prune: str, method: str = "bdwp") -> tuple[WeightMasks, np.ndarray]:
    """Masks of a weight, and FF's as booleans shaped like it."""
    masks = WeightMasks(plan_layers([one], parse_pruning(prune), method, training=True))
    operand = masks.forward(one)
    assert operand.mask is not None
    bits = unpack(masks.bits[operand.mask], one.taps * one.inputs)
    return masks, bits.reshape(one.groups, one.outputs, one.taps, one.inputs)


RECIPES = [
    "nm:2:8:outputs", "nm:2:8:both", "nm:2:8:double", "block:4x8:0.75", "block:1x16:0.5",
    "fanin:0.9", "butterfly:4", "gqsa:8:0.5", "erk:0.8", "global:0.8",
]  # fmt: skip


@pytest.mark.parametrize("prune", RECIPES)
@pytest.mark.parametrize(("taps", "groups"), [(1, 1), (9, 2)])
def test_both_directions_read_the_same_weights(prune: str, taps: int, groups: int) -> None:
    one = weight("fc", 32, 16, taps, groups)
    masks, kept = cut(one, prune)
    backward = masks.backward(one)
    assert backward.mask is not None
    turned = unpack(masks.bits[backward.mask], taps * 32).reshape(groups, 16, taps, 32)
    np.testing.assert_array_equal(turned, kept.transpose(0, 3, 2, 1))
    assert 0 < kept.mean() < 1
    for operand in (masks.forward(one), backward):
        assert operand.pattern.density == pytest.approx(kept.mean(), rel=0.4)


def test_groups_along_the_outputs_lie_across_the_reduction_of_ff() -> None:
    one = weight("fc", 32, 16)
    masks, kept = cut(one, "nm:2:8:outputs")
    assert masks.forward(one).pattern == NM(n=2, m=8, axis="n")
    assert masks.backward(one).pattern == NM(n=2, m=8)
    assert (kept.reshape(4, 8, 16).sum(axis=1) == 2).all()


@pytest.mark.parametrize(("word", "exact"), [("both", True), ("double", False)])
def test_groups_hold_along_both_axes(word: str, exact: bool) -> None:
    one = weight("fc", 32, 16)
    masks, kept = cut(one, f"nm:2:8:{word}")
    assert masks.forward(one).pattern == masks.backward(one).pattern == NM(n=2, m=8)
    for counts in (kept.reshape(32, 2, 8).sum(axis=2), kept.reshape(4, 8, 16).sum(axis=1)):
        assert counts.max() == 2
        assert (counts == 2).all() == exact


def test_blocks_are_the_ones_with_the_largest_sums() -> None:
    one = weight("fc", 32, 64)
    masks, kept = cut(one, "block:4x8:0.75")
    sums = np.abs(one.values()).reshape(8, 4, 8, 8).sum(axis=(1, 3))
    blocks = kept.reshape(8, 4, 8, 8)
    whole = blocks.all(axis=(1, 3))
    np.testing.assert_array_equal(whole, blocks.any(axis=(1, 3)))
    assert whole.sum() == 16
    assert sums[whole].min() > sums[~whole].max()
    assert masks.forward(one).pattern == Block(rows=4, columns=8, density=0.25)
    assert masks.backward(one).pattern == Block(rows=8, columns=4, density=0.25)


def test_every_output_keeps_its_own_largest_weights() -> None:
    one = weight("fc", 8, 40)
    masks, kept = cut(one, "fanin:0.9")
    magnitudes = np.abs(one.values())[0, :, 0]
    for row in range(8):
        assert set(np.flatnonzero(kept[0, row, 0])) == set(np.argsort(-magnitudes[row])[:4])
    assert masks.forward(one).pattern == Balanced(group=40, kept=4)
    assert masks.backward(one).pattern == Balanced(group=40, kept=4, axis="n")
    conv = weight("conv", 8, 40, taps=9)
    masks, kept = cut(conv, "fanin:0.9")
    assert (kept.sum(axis=(2, 3)) == 36).all()
    assert masks.forward(conv).pattern == Unstructured(density=0.1)


def test_equal_weights_are_kept_from_the_left() -> None:
    flat = weight("fc", 4, 40, scale=0.0)
    _, kept = cut(flat, "fanin:0.9")
    assert kept[0, :, 0, :4].all()
    assert kept.sum() == 16


def test_a_butterfly_has_the_blocks_of_its_factors() -> None:
    _, kept = cut(weight("fc", 64, 64), "butterfly:8")
    grid = kept.reshape(8, 8, 8, 8)[:, 0, :, 0]
    expected = np.eye(8, dtype=bool)
    for distance in (1, 2, 4):
        for row in range(8):
            expected[row, row ^ distance] = True
    np.testing.assert_array_equal(grid, expected)
    _, wide = cut(weight("fc", 32, 64), "butterfly:8")  # stretched: every block row is used
    assert wide.any(axis=3).all()
    assert wide.any(axis=1).all()


LAYERS = [weight("a", 64, 64, scale=3.0), weight("b", 256, 512), weight("c", 32, 16, taps=9)]


def test_erk_removes_the_share_of_all_and_spares_small_layers() -> None:
    plans = plan_layers(LAYERS, parse_pruning("erk:0.9"), "bdwp", training=True)
    density = {name: plan.pattern.density for name, plan in plans.items()}  # type: ignore[union-attr]
    sizes = {one.parameter: one.outputs * one.taps * one.inputs for one in LAYERS}
    kept = sum(density[name] * size for name, size in sizes.items())
    assert kept == pytest.approx(0.1 * sum(sizes.values()))
    assert density["b.weight"] < 0.1 < density["c.weight"] < density["a.weight"] <= 1.0
    ratio = ((64 + 64) / 64**2) / ((256 + 512) / (256 * 512))
    assert density["a.weight"] / density["b.weight"] == pytest.approx(ratio)


def test_global_pruning_is_one_threshold_for_all_layers() -> None:
    pattern = parse_pruning("global:0.9")
    plans = plan_layers(LAYERS, pattern, "bdwp", training=True)
    masks = WeightMasks(plans)
    everything, chosen = [], []
    for one in LAYERS:
        operand = masks.forward(one)
        assert operand.mask is not None
        bits = unpack(masks.bits[operand.mask], one.taps * one.inputs)
        everything.append(np.abs(one.values()).ravel())
        chosen.append(bits.ravel())
    magnitude, kept = np.concatenate(everything), np.concatenate(chosen)
    assert kept.sum() == round(0.1 * magnitude.size)
    assert magnitude[kept].min() >= magnitude[~kept].max()
    assert chosen[0].mean() > chosen[1].mean()


@pytest.mark.parametrize("prune", ["nm:2:8:both", "block:8x8:0.5", "butterfly:8"])
def test_what_does_not_fit_anywhere_is_refused_with_the_reason(prune: str) -> None:
    with pytest.raises(InputError, match=r"no layer can be pruned .* channels") as caught:
        plan_layers([weight("fc", 12, 20)], parse_pruning(prune), "bdwp", training=True)
    assert "\n" not in str(caught.value)


def test_gradients_have_no_structures() -> None:
    with pytest.raises(InputError, match="is no pattern of gradients"):
        plan_layers(LAYERS, parse_pruning("block:8x8:0.5"), "sdgp", training=True)


@pytest.mark.parametrize("prune", ["global:0.5", "erk:0.5"])
def test_shares_of_no_layer_are_refused(prune: str) -> None:
    with pytest.raises(InputError, match="is no pattern of gradients"):
        plan_layers(LAYERS, parse_pruning(prune), "sdgp", training=True)


@pytest.mark.parametrize("method", ["srste", "sdwp", "bdwp"])
@pytest.mark.parametrize("prune", RECIPES)
def test_structures_are_trained_and_extracted(prune: str, method: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from workloads.pytorch.nm_autograd import install_plans, pruned_layers

    one = weight("0", 32, 16)
    plans = plan_layers([one], parse_pruning(prune), method, training=True)
    network = torch.nn.Sequential(torch.nn.Linear(16, 32))
    with torch.no_grad():
        network[0].weight.copy_(torch.from_numpy(one.values()[0, :, 0]))
    install_plans(network, plans)
    network(torch.randn(2, 16)).sum().backward()
    ((_, layer),) = pruned_layers(network)
    kept = WeightMasks(plans)
    operand = kept.backward(one)
    assert operand.mask is not None
    bits = unpack(kept.bits[operand.mask], 32).T
    masks = layer.masks()
    np.testing.assert_array_equal(masks.backward.numpy() > 0, bits)
    assert (masks.forward is None) == (method == "sdwp")
    assert isinstance(plans["0.weight"].pattern, Structure | Unstructured)


@pytest.mark.parametrize(
    ("prune", "method", "phase"),
    [
        ("nm:2:8", "bimask", "training"),
        ("nm:2:8", "slope", "training"),
        ("nm:2:8", "transposable", "training"),
        ("fanin:0.9", "bdwp", "inference"),
        ("global:0.9", "srste", "inference"),
    ],
)
def test_a_real_network_is_extracted_with_masks_that_hold(
    prune: str, method: str, phase: str
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from workloads.extract import extract

    trace = extract("resnet18", prune=prune, method=method, phase=phase, batch=1)
    trace.check_masks("resnet18")
    products = [operator for operator in trace.operators if operator.kind == "gemm"]
    directions = {"FF", "BP"} if phase == "training" else {"inference"}
    assert {op.phase for op in products if op.b.mask is not None} == directions


def test_one_threshold_needs_weights() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from workloads.extract import extract

    with pytest.raises(InputError, match=r"--prune global:0\.5: needs the weights"):
        extract("llama2_7b", prune="global:0.5", phase="inference", batch=1)
