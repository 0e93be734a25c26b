"""Layers whose three products see differently pruned operands, as N:M training defines them.

    FF   y  = x (w * forward_mask)
    BP   dx = prune(dy) (w * backward_mask)
    WU   dw = x^T dy + decay * (1 - mask) * w

dw is dense (straight-through) and updates the dense weights; the decay is that of SR-STE
(arXiv 2102.04010) with the mask of the forward pass, or of BP where the forward pass is dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from sparsesim.trace.masks import unpack
from workloads.pruning.methods import LayerPlan
from workloads.pruning.weight_masks import backward_bits, forward_bits, select
from workloads.recipe import Pruning

#: Strength of the SR-STE term, the default of its authors' code.
DECAY = 2e-4


@dataclass(frozen=True)
class Masks:
    """Masks of one step, each shaped like the weight (1 = kept), and the pattern for dy."""

    forward: Tensor | None
    backward: Tensor | None
    gradient: Pruning | None


def cut_masks(weight: Tensor, plan: LayerPlan, groups: int = 1) -> Masks:
    """Masks of `weight` (outputs, inputs / groups, *kernel), cut from its dense values."""
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    values = weight.detach().reshape(groups, outputs, inputs, -1).transpose(2, 3).contiguous()
    taps = values.shape[2]
    forward = backward = None
    if plan.forward:
        kept = unpack(forward_bits(values.numpy(), plan.pattern), taps * inputs)
        shaped = torch.from_numpy(kept).reshape(groups, outputs, taps, inputs)
        forward = shaped.transpose(2, 3).reshape(weight.shape).to(weight.dtype)
    if plan.backward == "n":
        backward = forward
    elif plan.backward == "k":
        kept = unpack(backward_bits(values.numpy(), plan.pattern), taps * outputs)
        shaped = torch.from_numpy(kept).reshape(groups, inputs, taps, outputs)
        backward = shaped.permute(0, 3, 1, 2).reshape(weight.shape).to(weight.dtype)
    return Masks(forward, backward, plan.pattern if plan.gradient else None)


def _masked(weight: Tensor, mask: Tensor | None) -> Tensor:
    return weight if mask is None else weight * mask


def _with_decay(gradient: Tensor, weight: Tensor, masks: Masks) -> Tensor:
    mask = masks.backward if masks.forward is None else masks.forward
    return gradient if mask is None else gradient + DECAY * (1.0 - mask) * weight


def _pruned_gradient(gradient: Tensor, pattern: Pruning | None) -> Tensor:
    """`gradient` (samples, channels) with groups along the channels pruned by magnitude."""
    if pattern is None:
        return gradient
    kept = unpack(select(gradient.contiguous().numpy(), pattern), gradient.shape[1])
    return gradient * torch.from_numpy(kept)


class _LinearFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, masks: Masks) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.masks, ctx.has_bias = masks, bias is not None
        return nn.functional.linear(x, _masked(weight, masks.forward), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (dy,) = gradients
        x, weight = ctx.saved_tensors
        masks: Masks = ctx.masks
        rows = dy.reshape(-1, dy.shape[-1])
        dx = None
        if ctx.needs_input_grad[0]:
            pruned = _pruned_gradient(rows, masks.gradient)
            dx = (pruned @ _masked(weight, masks.backward)).reshape(x.shape)
        dw = _with_decay(rows.T @ x.reshape(-1, x.shape[-1]), weight, masks)
        return dx, dw, rows.sum(0) if ctx.has_bias else None, None


class _ConvolutionFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        masks: Masks,
        geometry: dict[str, Any],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.masks, ctx.has_bias, ctx.geometry = masks, bias is not None, geometry
        return nn.functional.conv2d(x, _masked(weight, masks.forward), bias, **geometry)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (dy,) = gradients
        x, weight = ctx.saved_tensors
        masks: Masks = ctx.masks
        dx = None
        if ctx.needs_input_grad[0]:
            pruned = dy
            if masks.gradient is not None:
                pixels = dy.permute(0, 2, 3, 1)
                flat = _pruned_gradient(pixels.reshape(-1, dy.shape[1]), masks.gradient)
                pruned = flat.reshape(pixels.shape).permute(0, 3, 1, 2).contiguous()
            dx = conv2d_input(x.shape, _masked(weight, masks.backward), pruned, **ctx.geometry)
        dw = conv2d_weight(x, weight.shape, dy, **ctx.geometry)
        dw = _with_decay(dw, weight, masks)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


class PrunedLinear(nn.Module):
    """A linear layer trained by a plan; shares the parameters of the layer that it stands for."""

    def __init__(self, layer: nn.Linear, plan: LayerPlan) -> None:
        super().__init__()
        self.weight, self.bias, self.plan = layer.weight, layer.bias, plan

    def forward(self, x: Tensor) -> Tensor:
        masks = cut_masks(self.weight, self.plan)
        return _LinearFunction.apply(x, self.weight, self.bias, masks)


class PrunedConv2d(nn.Module):
    """A convolution trained by a plan; shares the parameters of the layer it stands for."""

    def __init__(self, layer: nn.Conv2d, plan: LayerPlan) -> None:
        super().__init__()
        self.weight, self.bias, self.plan = layer.weight, layer.bias, plan
        self.geometry: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }

    def forward(self, x: Tensor) -> Tensor:
        masks = cut_masks(self.weight, self.plan, self.geometry["groups"])
        return _ConvolutionFunction.apply(x, self.weight, self.bias, masks, self.geometry)


def install_plans(module: nn.Module, plans: dict[str, LayerPlan]) -> None:
    """Replace the layers of `module` whose weight (``<path>.weight``) has a plan that prunes.

    The keys of its state dict stay the same.
    """
    for parameter, plan in plans.items():
        if not plan.anything:
            continue
        path = parameter.removesuffix(".weight")
        owner, _, attribute = path.rpartition(".")
        layer = module.get_submodule(path)
        replacement: nn.Module
        if isinstance(layer, nn.Conv2d):
            replacement = PrunedConv2d(layer, plan)
        elif isinstance(layer, nn.Linear):
            replacement = PrunedLinear(layer, plan)
        else:
            raise TypeError(f"{path} is a {type(layer).__name__}; Linear or Conv2d is needed")
        setattr(module.get_submodule(owner), attribute, replacement)
