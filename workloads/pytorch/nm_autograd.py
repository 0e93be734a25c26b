"""Layers whose three products see differently pruned operands, as N:M training defines them.

    FF   y  = x (w * forward_mask)
    BP   dx = prune(dy) (w * backward_mask)
    WU   dw = x^T dy                                  plain
            + decay * (1 - mask) * w                  decay: the SR-STE term
            * forward_mask                            kept: what is pruned is never updated

The plain and the decayed dw are dense (straight-through) and update the dense weights. The decay
is that of SR-STE (arXiv 2102.04010) with the mask of the forward pass, or of BP where the forward
pass is dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from sparsesim.trace import NM
from sparsesim.trace.masks import unpack
from workloads.pruning.layouts import Kept
from workloads.pruning.methods import LayerPlan, Update
from workloads.pruning.pruning import Pruning
from workloads.pruning.two_pass import SEARCH_EVERY, Order, search_order
from workloads.pruning.weight_masks import backward_mask, forward_mask, select

#: Strength of the SR-STE term, the default of its authors' code.
DECAY = 2e-4


@dataclass(frozen=True)
class Masks:
    """Masks of one step, each shaped like the weight (1 = kept), and the pattern for dy.

    `order` is that of the outputs in which the groups of `backward` run, if not their own.
    """

    forward: Tensor | None
    backward: Tensor | None
    gradient: Pruning | None
    update: Update = "plain"
    order: Order | None = None


def cut_masks(weight: Tensor, plan: LayerPlan, groups: int = 1, step: int = 0,
              order: Order | None = None) -> Masks:  # fmt: skip
    """Masks of `weight` (outputs, inputs / groups, *kernel), cut from its dense values.

    Args:
        step: seeds the search for an order of the outputs, where the plan wants one.
        order: the one found at an earlier step; None: search.
    """
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    shaped = weight.detach().reshape(groups, outputs, inputs, -1).transpose(2, 3)
    values = shaped.contiguous().numpy()
    forward = forward_mask(values, plan)
    if plan.backward == "permuted" and order is None:
        assert forward is not None
        assert isinstance(plan.pattern, NM)
        order = search_order(values, forward, plan.pattern, seed=step)
    backward = backward_mask(values, plan, forward, order)
    first = _like(forward, weight)
    return Masks(
        first,
        first if backward is forward else _like(backward, weight),
        plan.pattern if plan.gradient else None,
        plan.update,
        order,
    )


def _like(kept: Kept | None, weight: Tensor) -> Tensor | None:
    """(groups, outputs, taps, inputs) booleans as numbers shaped like `weight`."""
    if kept is None:
        return None
    return torch.from_numpy(kept).transpose(2, 3).reshape(weight.shape).to(weight.dtype)


def _masked(weight: Tensor, mask: Tensor | None) -> Tensor:
    return weight if mask is None else weight * mask


def _updating(gradient: Tensor, weight: Tensor, masks: Masks) -> Tensor:
    """What the optimizer gets of the dense `gradient`."""
    if masks.update == "kept" and masks.forward is not None:
        return gradient * masks.forward
    mask = masks.backward if masks.forward is None else masks.forward
    if masks.update == "decay" and mask is not None:
        return gradient + DECAY * (1.0 - mask) * weight
    return gradient


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
        dw = _updating(rows.T @ x.reshape(-1, x.shape[-1]), weight, masks)
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
        dw = _updating(dw, weight, masks)
        return dx, dw, dy.sum((0, 2, 3)) if ctx.has_bias else None, None, None


class PrunedLayer(nn.Module):
    """A layer trained by a plan; shares the parameters of the layer that it stands for.

    Masks are cut from the weights at the first step and every `plan.recut` steps of training;
    outside of training, whenever they may have changed since.
    """

    weight: nn.Parameter
    groups = 1

    def __init__(self, layer: nn.Linear | nn.Conv2d, plan: LayerPlan) -> None:
        super().__init__()
        self.weight, self.bias, self.plan = layer.weight, layer.bias, plan
        self._masks: Masks | None = None
        self._steps = 0

    def masks(self) -> Masks:
        """The masks of the next step, as they stand."""
        if self._masks is None or self.plan.recut == 1:
            return self._cut()
        return self._masks

    def step_masks(self) -> Masks:
        """The masks of this forward pass; counts it as a step when training."""
        if not self.training:
            return self.masks()
        recut, masks = self.plan.recut, self._masks
        if masks is None or (recut is not None and self._steps % recut == 0):
            masks = self._cut()
        if self._masks is None and masks.update == "kept" and masks.forward is not None:
            with torch.no_grad():  # pruned once and for all
                self.weight *= masks.forward
        self._masks, self._steps = masks, self._steps + 1
        return masks

    def _cut(self) -> Masks:
        order = None
        if self._masks is not None and self._steps % SEARCH_EVERY:
            order = self._masks.order
        return cut_masks(self.weight, self.plan, self.groups, self._steps, order)


class PrunedLinear(PrunedLayer):
    """A linear layer trained by a plan."""

    def forward(self, x: Tensor) -> Tensor:
        return _LinearFunction.apply(x, self.weight, self.bias, self.step_masks())


class PrunedConv2d(PrunedLayer):
    """A convolution trained by a plan."""

    def __init__(self, layer: nn.Conv2d, plan: LayerPlan) -> None:
        super().__init__(layer, plan)
        self.groups = layer.groups
        self.geometry: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "groups": layer.groups,
        }

    def forward(self, x: Tensor) -> Tensor:
        masks = self.step_masks()
        return _ConvolutionFunction.apply(x, self.weight, self.bias, masks, self.geometry)


def pruned_layers(module: nn.Module) -> Iterator[tuple[str, PrunedLayer]]:
    """The layers of `module` that are trained by a plan, by name."""
    for name, layer in module.named_modules():
        if isinstance(layer, PrunedLayer):
            yield name, layer


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
