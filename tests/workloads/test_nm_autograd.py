"""The three products of N:M training against plain autograd on masked weights."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import Tensor, nn  # noqa: E402

from sparsesim.trace import NM, Balanced, Unstructured  # noqa: E402
from workloads.forward_graph import Weight  # noqa: E402
from workloads.pruning.methods import LayerPlan, plan_layers  # noqa: E402
from workloads.pytorch.nm_autograd import (  # noqa: E402
    DECAY,
    cut_masks,
    install_plans,
    pruned_layers,
)

PATTERN = NM(n=2, m=8)
PLANS = {
    "srste": LayerPlan(PATTERN, forward=True, backward="n", update="decay"),
    "sdgp": LayerPlan(PATTERN, gradient=True),
    "sdwp": LayerPlan(PATTERN, backward="k", update="decay"),
    "bdwp": LayerPlan(PATTERN, forward=True, backward="k", update="decay"),
    "bdwp balanced": LayerPlan(
        Balanced(group=16, kept=2), forward=True, backward="k", update="decay"
    ),
    "unstructured": LayerPlan(
        Unstructured(density=0.3), forward=True, backward="k", update="decay"
    ),
    "transposable": LayerPlan(PATTERN, forward=True, backward="both", recut=40),
    "bimask": LayerPlan(PATTERN, forward=True, backward="permuted", update="decay"),
    "slope": LayerPlan(PATTERN, forward=True, backward="twice", update="kept", recut=None),
}


def top_two_of_eight(values: Tensor) -> Tensor:
    """Mask over the last axis."""
    groups = values.abs().reshape(*values.shape[:-1], -1, 8)
    kept = torch.zeros_like(groups).scatter(-1, groups.topk(2, dim=-1).indices, 1.0)
    return kept.reshape(values.shape)


def layers(kind: str) -> tuple[nn.Module, Tensor, int]:
    if kind == "linear":
        return nn.Linear(16, 32), torch.randn(5, 3, 16), -1
    groups = 2 if kind == "grouped" else 1
    conv = nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=groups, bias=kind == "conv")
    return conv, torch.randn(4, 32, 6, 6), 1


@pytest.mark.parametrize("kind", ["linear", "conv", "grouped"])
@pytest.mark.parametrize("method", PLANS)
def test_each_product_sees_its_own_operands(kind: str, method: str) -> None:
    torch.manual_seed(0)
    layer, x, channel_axis = layers(kind)
    plan = PLANS[method]
    dense = nn.Sequential(layer)
    pruned = nn.Sequential(layer)
    install_plans(pruned, {"0.weight": plan})
    assert pruned.state_dict().keys() == dense.state_dict().keys()
    masks = cut_masks(layer.weight, plan, getattr(layer, "groups", 1))
    if plan.update == "kept":  # such weights are pruned for good
        assert masks.forward is not None
        with torch.no_grad():
            layer.weight *= masks.forward
    weight = layer.weight.detach().clone()

    def products(mask: Tensor | None, dy: Tensor | None) -> list[Tensor]:
        """y, dx, dw of the plain layer with `mask` on its weight."""
        twin = type(layer)(**arguments(layer))
        twin.load_state_dict(layer.state_dict())
        twin.weight.data = weight if mask is None else weight * mask
        source = x.clone().requires_grad_()
        y = twin(source)
        y.backward(torch.ones_like(y) if dy is None else dy)
        assert source.grad is not None
        assert twin.weight.grad is not None
        return [y.detach(), source.grad, twin.weight.grad]

    source = x.clone().requires_grad_()
    y = pruned(source)
    dy = torch.randn_like(y)
    y.backward(dy)
    forward_y = products(masks.forward, None)[0]
    dy_for_bp = dy
    if plan.gradient:
        kept = top_two_of_eight(dy.movedim(channel_axis, -1)).movedim(-1, channel_axis)
        dy_for_bp = dy * kept
    _, dx, _ = products(masks.backward, dy_for_bp)
    dw = products(None, dy)[2]
    decay_mask = masks.backward if masks.forward is None else masks.forward
    if plan.update == "kept":
        dw = dw * decay_mask
    elif plan.update == "decay":
        assert decay_mask is not None
        dw = dw + DECAY * (1 - decay_mask) * weight
    torch.testing.assert_close(y.detach(), forward_y)
    torch.testing.assert_close(source.grad, dx)
    torch.testing.assert_close(layer.weight.grad, dw)
    if layer.bias is not None:
        axes = [axis for axis in range(dy.ndim) if axis != channel_axis % dy.ndim]
        torch.testing.assert_close(layer.bias.grad, dy.sum(axes))


def arguments(layer: nn.Module) -> dict[str, object]:
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.in_features, "out_features": layer.out_features}
    return {
        "in_channels": layer.in_channels, "out_channels": layer.out_channels, "kernel_size": 3,
        "stride": 2, "padding": 1, "groups": layer.groups, "bias": layer.bias is not None,
    }  # fmt: skip


def test_masks_run_along_input_channels_in_ff_and_output_channels_in_bp() -> None:
    weight = torch.randn(16, 24, 3, 3)
    masks = cut_masks(weight, PLANS["bdwp"])
    assert masks.forward is not None
    assert masks.backward is not None
    torch.testing.assert_close(
        masks.forward, top_two_of_eight(weight.movedim(1, -1)).movedim(-1, 1)
    )
    torch.testing.assert_close(
        masks.backward, top_two_of_eight(weight.movedim(0, -1)).movedim(-1, 0)
    )
    assert not torch.equal(masks.forward, masks.backward)
    shared = cut_masks(weight, PLANS["srste"])
    assert shared.backward is shared.forward


def three_products(x: Tensor, weight: Tensor, dy: Tensor, method: str) -> list[Any]:
    """y, dx, dw of a linear layer in plain float64 NumPy, pruned group by group in loops."""
    x, weight, dy = (value.detach().double().numpy() for value in (x, weight, dy))

    def largest(values: Any) -> Any:
        kept = np.zeros(values.shape, bool)
        for row in range(values.shape[0]):
            for start in range(0, values.shape[1], 8):
                best = np.argsort(-np.abs(values[row, start : start + 8]), kind="stable")[:2]
                kept[row, start + best] = True
        return kept

    ff = largest(weight) if method in ("srste", "bdwp", "slope") else np.ones(weight.shape, bool)
    bp = {
        "dense": np.ones_like(ff), "srste": ff, "sdgp": np.ones_like(ff),
        "sdwp": largest(weight.T).T, "bdwp": largest(weight.T).T,
        "slope": largest((weight * ff).T).T & ff,
    }[method]  # fmt: skip
    gradient = np.where(largest(dy), dy, 0.0) if method == "sdgp" else dy
    dw = dy.T @ x
    if method in ("srste", "sdwp", "bdwp"):
        dw = dw + DECAY * np.where(bp if method == "sdwp" else ff, 0.0, weight)
    if method == "slope":
        dw = dw * ff
    return [x @ (weight * ff).T, gradient @ (weight * bp), dw]


@pytest.mark.parametrize("method", ["dense", "srste", "sdgp", "sdwp", "bdwp", "slope"])
def test_methods_compute_what_plain_numpy_computes(method: str) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(24, 32, bias=False)
    x, dy = torch.randn(7, 24, requires_grad=True), torch.randn(7, 32)
    network = nn.Sequential(layer)
    fc = Weight("0.weight", "0", 1, 32, 1, 24, False, lambda: np.zeros((1, 32, 1, 24), np.float32))
    install_plans(network, plan_layers([fc], PATTERN, method, training=True))
    before = layer.weight.detach().clone()
    y = network(x)
    y.backward(dy)
    expected = three_products(x, before, dy, method)
    for found, wanted in zip((y, x.grad, layer.weight.grad), expected, strict=True):
        assert found is not None
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("method", "cuts"), [("bdwp", 4), ("transposable", 2), ("slope", 1)])
def test_masks_are_cut_again_as_often_as_the_method_says(method: str, cuts: int) -> None:
    plan = dataclasses.replace(
        PLANS[method], recut={"transposable": 2}.get(method, PLANS[method].recut)
    )
    network = nn.Sequential(nn.Linear(16, 32))
    install_plans(network, {"0.weight": plan})
    seen = []
    for step in range(4):
        torch.manual_seed(step)
        if method != "slope":
            with torch.no_grad():
                network[0].weight.copy_(torch.randn(32, 16))
        network(torch.randn(3, 16)).sum().backward()
        seen.append(network[0].masks().forward)
    different = 1 + sum(not torch.equal(a, b) for a, b in itertools.pairwise(seen))
    assert different == cuts


def test_a_pruned_weight_of_slope_stays_zero_under_momentum_and_decay() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 32))
    install_plans(network, {"0.weight": PLANS["slope"]})
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        network(torch.randn(3, 16)).square().sum().backward()
        optimizer.step()
    ((_, layer),) = pruned_layers(network)
    mask = layer.masks().forward
    assert mask is not None
    assert (layer.weight[mask == 0] == 0).all()
    assert (layer.weight[mask == 1] != 0).all()
