"""The three products of N:M training against plain autograd on masked weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import Tensor, nn  # noqa: E402

from sparsesim.trace import NM, Balanced, Unstructured  # noqa: E402
from workloads.pruning.methods import LayerPlan  # noqa: E402
from workloads.pytorch.nm_autograd import DECAY, cut_masks, install_plans  # noqa: E402

PATTERN = NM(n=2, m=8)
PLANS = {
    "srste": LayerPlan(PATTERN, forward=True, backward="n"),
    "sdgp": LayerPlan(PATTERN, gradient=True),
    "sdwp": LayerPlan(PATTERN, backward="k"),
    "bdwp": LayerPlan(PATTERN, forward=True, backward="k"),
    "bdwp balanced": LayerPlan(Balanced(group=16, kept=2), forward=True, backward="k"),
    "unstructured": LayerPlan(Unstructured(density=0.3), forward=True, backward="k"),
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
    weight = layer.weight.detach().clone()
    masks = cut_masks(weight, plan, getattr(layer, "groups", 1))

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
    if decay_mask is not None:
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
