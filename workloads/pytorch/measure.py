"""Running a captured network on real inputs, and noting where its activations are zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from sparsesim.errors import InputError
from workloads.activation_masks import ActivationMasks
from workloads.activation_recipe import Activations, Delta, KvCache, Threshold, Zeros
from workloads.forward_graph import ForwardGemm
from workloads.pytorch.attention_sparsity import attention_masks, fused_attention_masks
from workloads.pytorch.captured_graph import Captured
from workloads.pytorch.lower import Lowered
from workloads.pytorch.lowering_context import AttentionOrigin, ProductOrigin

Frame = list[Tensor]
"""Values of the graph's own inputs, in their order."""


def measure(
    captured: Captured,
    lowered: Lowered,
    frames: list[Frame],
    activations: Activations | None,
    kv_cache: KvCache | None,
) -> ActivationMasks:
    """Masks of the operands A of all products with weights, and of attention.

    Args:
        captured, lowered: the network.
        frames: one set of inputs; two for `Delta`.
        activations: what counts as zero; a threshold also changes what later layers see.
        kv_cache: how keys and values are pruned.

    Raises:
        InputError: `Delta` without a second frame, or the run fails.
    """
    masks = ActivationMasks()
    steps = {
        step.name: step
        for step in lowered.graph.steps
        if isinstance(step, ForwardGemm) and step.name in lowered.products
    }
    if isinstance(activations, Delta):
        if len(frames) != 2:
            raise InputError(
                f"--activations delta: compares two frames; give --inputs twice (got {len(frames)})"
            )
        _delta(captured, lowered, frames, activations, steps, masks)
    runner = _Runner(captured, lowered, steps, masks, activations, kv_cache)
    if kv_cache is not None or isinstance(activations, Zeros | Threshold):
        runner.run_frame(frames[0])
    return masks


class _Runner(fx.Interpreter):
    """Runs the nodes in order; looks at the operands of products as they are read."""

    def __init__(
        self,
        captured: Captured,
        lowered: Lowered,
        steps: dict[str, ForwardGemm],
        masks: ActivationMasks,
        activations: Activations | None,
        kv_cache: KvCache | None,
    ) -> None:
        super().__init__(fx.GraphModule(nn.Module(), captured.graph))
        self._captured, self._steps, self._masks = captured, steps, masks
        self._activations, self._kv_cache = activations, kv_cache
        # The interpreter's own graph is a copy: nodes are found again by their names.
        self._products: dict[str, tuple[str, ProductOrigin]] = {
            origin.node.name: (name, origin)
            for name, origin in lowered.products.items()
            if name in steps
        }
        self._attentions: dict[str, AttentionOrigin] = {
            origin.node.name: origin for origin in lowered.attentions
        }
        self._unfused = {
            name: pair for pair in lowered.unfused for name in (pair.scores, pair.values)
        }
        self._keys: dict[str, Tensor] = {}
        self.operands: dict[str, Tensor] = {}

    def run_frame(self, frame: Frame) -> None:
        """Run once on the values of `frame`."""
        captured, remaining, arguments = self._captured, list(frame), []
        for node in captured.graph.nodes:
            if node.op != "placeholder":
                continue
            if node.name in captured.parameters:
                arguments.append(captured.parameter(node.name))
            elif node.name in captured.buffers:
                arguments.append(captured.buffer(node.name).clone())
            elif node.name in captured.constants:
                arguments.append(captured.constants[node.name])
            else:
                fed = isinstance(node.meta.get("val"), Tensor)
                arguments.append(remaining.pop(0) if fed else None)
        try:
            with torch.no_grad():
                self.run(*arguments)
        except InputError:
            raise
        except Exception as error:  # the user's inputs do not suit the user's model
            reason = str(error).strip().split("\n")[0]
            raise InputError(
                f"--inputs: the run failed with {type(error).__name__}: {reason}"
            ) from None

    def run_node(self, n: fx.Node) -> Any:
        if n.name in self._products:
            name, origin = self._products[n.name]
            left = self._node(origin.left)
            whole = self.env[left]
            self._look(name, origin)
            if name in self._unfused and self._kv_cache is not None:
                self._look_at_attention(name, origin)
            out = super().run_node(n)
            self.env[left] = whole  # who else reads it (a residual branch) sees all of it
            return out
        if n.name in self._attentions and self._kv_cache is not None:
            attention = self._attentions[n.name]
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            for name, side, kept in fused_attention_masks(attention, args, kwargs, self._kv_cache):
                self._masks.add(name, side, kept, kept.shape[1])
        return super().run_node(n)

    def _look_at_attention(self, name: str, origin: ProductOrigin) -> None:
        assert self._kv_cache is not None
        pair, step = self._unfused[name], self._steps[name]
        right = origin.columns(self._value(origin.right)).float()
        right = right.reshape(step.groups, step.n, step.k)
        if name == pair.scores:
            self._keys[name] = right
            return
        left = origin.rows(self._value(origin.left)).float().reshape(step.groups, step.m, step.k)
        key = self._keys[pair.scores]
        for found, side, kept in attention_masks(
            pair.scores, pair.values, key, right.transpose(1, 2), left, self._kv_cache
        ):
            self._masks.add(found, side, kept, kept.shape[1])

    def _value(self, node: fx.Node) -> Any:
        return self.env[self._node(node)]

    def _node(self, node: fx.Node) -> fx.Node:
        """The interpreter's own node for one of the captured graph."""
        return next(found for found in self.env if found.name == node.name)

    def _look(self, name: str, origin: ProductOrigin) -> None:
        left = self._node(origin.left)
        value, step = self.env[left], self._steps[name]
        if self._activations is None or step.weight is None:
            return
        if isinstance(self._activations, Delta):
            self.operands[name] = value.clone()
            return
        if isinstance(self._activations, Threshold) and not step.weight.first:
            value = below_threshold(value, self._activations, origin.channel_axis)
            self.env[left] = value
        rows = origin.rows((value != 0).to(torch.uint8)).bool().numpy()
        self._masks.add(name, "a", rows, step.weight.inputs)


def below_threshold(value: Tensor, recipe: Threshold, channel_axis: int) -> Tensor:
    """`value` with the smallest magnitudes set to zero: of the tensor, or of each channel."""
    magnitude = value.abs().float()
    if recipe.per_channel:
        axis = channel_axis % value.ndim
        flat = magnitude.movedim(axis, 0).reshape(value.shape[axis], -1)
        limit = _smallest(flat, recipe.removed)
        shape = [1] * value.ndim
        shape[axis] = -1
        return torch.where(magnitude > limit.reshape(shape), value, torch.zeros_like(value))
    limit = _smallest(magnitude.reshape(1, -1), recipe.removed)
    return torch.where(magnitude > limit, value, torch.zeros_like(value))


def _smallest(rows: Tensor, fraction: float) -> Tensor:
    """Per row, the magnitude that `fraction` of it does not exceed; -1 where that is none."""
    count = round(rows.shape[1] * fraction)
    if count == 0:
        return torch.full((rows.shape[0],), -1.0)
    return rows.kthvalue(count, dim=1).values


def _delta(
    captured: Captured,
    lowered: Lowered,
    frames: list[Frame],
    recipe: Delta,
    steps: dict[str, ForwardGemm],
    masks: ActivationMasks,
) -> None:
    values = []
    for frame in frames:
        runner = _Runner(captured, lowered, steps, masks, recipe, None)
        runner.run_frame(frame)
        values.append(runner.operands)
    highest = 2 ** (recipe.bits - 1) - 1
    for name, step in steps.items():
        if step.weight is None:
            continue
        before, after = values[0][name].float(), values[1][name].float()
        scale = max(float(before.abs().max()), float(after.abs().max())) or 1.0
        same = (before * highest / scale).round() == (after * highest / scale).round()
        rows = lowered.products[name].rows((~same).to(torch.uint8)).bool().numpy()
        masks.add(name, "a", rows, step.weight.inputs)
