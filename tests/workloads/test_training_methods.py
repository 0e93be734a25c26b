"""Which operand each method prunes, along which axis, and which layers stay dense."""

from __future__ import annotations

import numpy as np
import pytest

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense, Unstructured
from sparsesim.trace.masks import unpack
from workloads.forward_graph import Weight, WeightArray, layer_of_parameter
from workloads.pruning.methods import LayerPlan, plan_layers
from workloads.pruning.pruning import Pruning
from workloads.pruning.two_pass import pruned_twice, search_order
from workloads.pruning.weight_masks import WeightMasks, forward_mask


def weight(
    name: str = "fc", inputs: int = 16, outputs: int = 16, first: bool = False, groups: int = 1
) -> Weight:
    def values() -> WeightArray:
        rng = np.random.default_rng(len(name) + inputs)
        return rng.standard_normal((groups, outputs, 9, inputs)).astype(np.float32)

    return Weight(f"{name}.weight", name, groups, outputs, 9, inputs, first, values)


def plan(
    method: str, pattern: Pruning, training: bool = True, inputs: int = 16, outputs: int = 16
) -> LayerPlan:
    layers = [weight("other"), weight(inputs=inputs, outputs=outputs)]
    return plan_layers(layers, pattern, method, training)["fc.weight"]


TWO_OF_EIGHT = NM(n=2, m=8)


@pytest.mark.parametrize(
    ("method", "forward", "backward", "gradient"),
    [
        ("dense", False, None, False),
        ("srste", True, "n", False),
        ("sdgp", False, None, True),
        ("sdwp", False, "k", False),
        ("bdwp", True, "k", False),
        ("transposable", True, "both", False),
        ("bimask", True, "permuted", False),
        ("slope", True, "twice", False),
    ],
)
def test_each_method_prunes_its_own_products(
    method: str, forward: bool, backward: str | None, gradient: bool
) -> None:
    found = plan(method, TWO_OF_EIGHT)
    assert (found.forward, found.backward, found.gradient) == (forward, backward, gradient)
    assert found.left_dense is None


def test_a_direction_without_whole_groups_stays_dense_and_says_why() -> None:
    few = plan("bdwp", TWO_OF_EIGHT, inputs=4)
    assert not few.forward
    assert few.backward == "k"
    assert few.left_dense == "FF: 4 input channels, fewer than the group of 8"
    uneven = plan("bdwp", TWO_OF_EIGHT, outputs=10)
    assert uneven.forward
    assert uneven.backward is None
    assert uneven.left_dense == "BP: 10 output channels, not a multiple of the group of 8"
    assert plan("sdwp", TWO_OF_EIGHT, outputs=10) == LayerPlan(
        TWO_OF_EIGHT,
        left_dense="BP: 10 output channels, not a multiple of the group of 8",
        update="decay",
    )
    assert plan("srste", TWO_OF_EIGHT, inputs=12).backward is None
    assert plan("bdwp", TWO_OF_EIGHT, training=False, outputs=10).left_dense is None


def test_the_first_layer_stays_dense() -> None:
    plans = plan_layers([weight("a", first=True), weight("b")], TWO_OF_EIGHT, "bdwp", True)
    assert plans["a.weight"].left_dense == "first layer"
    assert not plans["a.weight"].anything
    assert plans["b.weight"].anything


def test_a_shared_weight_is_dense_where_one_of_its_uses_is() -> None:
    uses = [weight("a", inputs=4, outputs=4), weight("a"), weight("b")]
    assert not plan_layers(uses, TWO_OF_EIGHT, "bdwp", True)["a.weight"].anything
    assert not plan_layers(uses[::-1], TWO_OF_EIGHT, "bdwp", True)["a.weight"].anything


def test_a_shared_weight_is_the_first_layer_only_if_all_its_uses_are() -> None:
    recurrent = [weight("a", first=True), weight("a"), weight("b")]
    assert plan_layers(recurrent, TWO_OF_EIGHT, "bdwp", True)["a.weight"].anything
    twins = [weight("a", first=True), weight("a", first=True), weight("b")]
    assert not plan_layers(twins, TWO_OF_EIGHT, "bdwp", True)["a.weight"].anything


def test_a_pattern_that_fits_nowhere_is_refused_with_the_reasons() -> None:
    layers = [weight("a", first=True), weight("b", inputs=12, outputs=12)]
    with pytest.raises(InputError, match=r"no layer can be pruned to 2:8@k .*b: FF: 12 input"):
        plan_layers(layers, TWO_OF_EIGHT, "bdwp", True)
    plan_layers(layers, Dense(), "bdwp", True)
    plan_layers(layers, Unstructured(density=0.5), "bdwp", True)
    plan_layers(layers, TWO_OF_EIGHT, "dense", True)


@pytest.mark.parametrize("pattern", [TWO_OF_EIGHT, Balanced(group=8, kept=1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_bdwp_cuts_two_masks_from_the_dense_weights(pattern: NM | Balanced, groups: int) -> None:
    one = weight(inputs=8, outputs=16, groups=groups)
    masks = WeightMasks({"fc.weight": LayerPlan(pattern, forward=True, backward="k")})
    forward, backward = masks.forward(one), masks.backward(one)
    assert (forward.mask, backward.mask) == ("fc.weight@FF", "fc.weight@BP")
    assert forward.pattern == backward.pattern == pattern
    values = np.abs(one.values())
    count, kept = (8, pattern.n if isinstance(pattern, NM) else pattern.kept)
    ff = unpack(masks.bits["fc.weight@FF"], 72).reshape(groups, 16, 9, 8)
    bp = unpack(masks.bits["fc.weight@BP"], 144).reshape(groups, 8, 9, 16)
    for group in range(groups):
        for tap in range(9):
            for row in range(16):
                best = np.sort(np.argsort(-values[group, row, tap], kind="stable")[:kept])
                assert np.flatnonzero(ff[group, row, tap]).tolist() == best.tolist()
            for row in range(8):
                for start in (0, 8):
                    column = values[group, start : start + count, tap, row]
                    best = np.sort(np.argsort(-column, kind="stable")[:kept])
                    found = bp[group, row, tap, start : start + count]
                    assert np.flatnonzero(found).tolist() == best.tolist()


def test_srste_reads_the_forward_mask_in_bp_with_its_zeros_on_the_n_axis() -> None:
    one = weight()
    masks = WeightMasks({"fc.weight": LayerPlan(TWO_OF_EIGHT, forward=True, backward="n")})
    masks.forward(one)
    assert masks.backward(one).pattern == NM(n=2, m=8, axis="n")
    ff = unpack(masks.bits["fc.weight@FF"], 144).reshape(16, 9, 16)
    bp = unpack(masks.bits["fc.weight@BP"], 144).reshape(16, 9, 16)
    np.testing.assert_array_equal(bp, ff.transpose(2, 1, 0))


def test_unstructured_removes_the_fraction_and_keeps_the_same_weights_both_ways() -> None:
    one = weight()
    pattern = Unstructured(density=0.1)
    masks = WeightMasks({"fc.weight": LayerPlan(pattern, forward=True, backward="k")})
    forward, backward = masks.forward(one), masks.backward(one)
    ff = unpack(masks.bits["fc.weight@FF"], 144).reshape(16, 9, 16)
    bp = unpack(masks.bits["fc.weight@BP"], 144).reshape(16, 9, 16)
    assert ff.sum() == round(0.1 * 16 * 9 * 16)
    np.testing.assert_array_equal(bp, ff.transpose(2, 1, 0))
    assert forward.pattern == backward.pattern == Unstructured(density=ff.sum() / ff.size)
    assert np.abs(one.values()[0])[ff].min() >= np.abs(one.values()[0])[~ff].max()


def test_tied_weights_with_other_layouts_get_masks_of_their_own() -> None:
    one, other = weight(inputs=16), weight(inputs=24)
    masks = WeightMasks({"fc.weight": LayerPlan(TWO_OF_EIGHT, forward=True)})
    assert masks.forward(one).mask == masks.forward(one).mask == "fc.weight@FF"
    assert masks.forward(other).mask == "fc.weight@FF2"
    assert len(masks.records) == 2


@pytest.mark.parametrize(
    ("parameter", "layer"),
    [
        ("layer1.0.conv1.weight", "layer1.0.conv1"),
        ("fc.bias", "fc.bias"),
        ("mha.in_proj_weight", "mha.in_proj"),
        ("fc.weight_orig", "fc"),
        ("fc.parametrizations.weight.original", "fc"),
        ("weight", "weight"),
        ("scale", "scale"),
    ],
)
def test_parameters_belong_to_layers(parameter: str, layer: str) -> None:
    assert layer_of_parameter(parameter) == layer


def test_a_transposable_mask_needs_both_axes_and_is_the_same_in_inference() -> None:
    for training in (False, True):
        assert plan("transposable", TWO_OF_EIGHT, training).backward == "both"
        assert not plan("transposable", TWO_OF_EIGHT, training, inputs=4).anything
        assert not plan("transposable", TWO_OF_EIGHT, training, outputs=10).anything


@pytest.mark.parametrize("method", ["bimask", "slope"])
def test_a_mask_made_of_the_forward_one_needs_it(method: str) -> None:
    assert not plan(method, TWO_OF_EIGHT, inputs=4).anything
    only_forward = plan(method, TWO_OF_EIGHT, outputs=10)
    assert (only_forward.forward, only_forward.backward) == (True, None)


@pytest.mark.parametrize("method", ["transposable", "bimask", "slope"])
def test_methods_of_groups_refuse_other_patterns(method: str) -> None:
    with pytest.raises(InputError, match=f"--method {method}: is defined for nm:N:M alone"):
        plan(method, Unstructured(density=0.5))


@pytest.mark.parametrize("method", ["transposable", "bimask", "slope"])
@pytest.mark.parametrize("groups", [1, 2])
def test_masks_of_one_origin_hold_along_the_reduction_of_both_products(
    method: str, groups: int
) -> None:
    one = weight(inputs=8, outputs=16, groups=groups)
    masks = WeightMasks({"fc.weight": plan_layers([one], TWO_OF_EIGHT, method, True)["fc.weight"]})
    forward, backward = masks.forward(one), masks.backward(one)
    assert forward.pattern == backward.pattern == TWO_OF_EIGHT
    ff = unpack(masks.bits["fc.weight@FF"], 72).reshape(groups, 16, 9, 8)
    bp = unpack(masks.bits["fc.weight@BP"], 144).reshape(groups, 8, 9, 16)
    assert (ff.sum(axis=3) == 2).all()
    assert (bp.reshape(groups, 8, 9, 2, 8).sum(axis=4) <= 2).all()
    if method == "transposable":
        np.testing.assert_array_equal(bp, ff.transpose(0, 3, 2, 1))
    elif method == "slope":
        assert not (bp & ~ff.transpose(0, 3, 2, 1)).any()
        assert bp.sum() < ff.sum()
    else:  # its columns are in the searched order of the outputs
        kept = ff.reshape(groups, 16, 9, 8)
        order = search_order(one.values(), kept, TWO_OF_EIGHT, seed=0)
        expected = pruned_twice(one.values(), kept, TWO_OF_EIGHT, order)[:, order]
        np.testing.assert_array_equal(bp, expected.transpose(0, 3, 2, 1))


def test_the_searched_order_saves_weights_that_neighbours_would_lose() -> None:
    values = weight(inputs=32, outputs=64).values()
    bdwp = LayerPlan(TWO_OF_EIGHT, forward=True)
    forward = forward_mask(values, bdwp)
    assert forward is not None
    order = search_order(values, forward, TWO_OF_EIGHT, seed=1)
    assert sorted(order) == list(range(64))
    np.testing.assert_array_equal(order, search_order(values, forward, TWO_OF_EIGHT, seed=1))
    kept = pruned_twice(values, forward, TWO_OF_EIGHT, order)
    assert kept.sum() > pruned_twice(values, forward, TWO_OF_EIGHT).sum()
    assert not (kept & ~forward).any()
    groups = kept[:, order].reshape(1, 8, 8, 9, 32).sum(axis=2)
    assert (groups <= 2).all()
    lost = forward[:, order].reshape(1, 8, 8, 9, 32).sum(axis=2)
    np.testing.assert_array_equal(groups, np.minimum(lost, 2))
