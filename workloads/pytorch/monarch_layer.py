"""Linear layers as Monarch matrices, with factors projected from the dense weight."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from sparsesim.errors import InputError
from workloads.forward_graph import ForwardGemm, ForwardGraph
from workloads.pruning.monarch import Monarch
from workloads.pytorch.network import Network


class MonarchLinear(nn.Module):
    """``nn.Linear`` with its weight as P2 L P1 R; see `workloads.pruning.monarch`.

    Attributes:
        right: (B, middle / B, inputs / B), the blocks of R.
        left: (B, outputs / B, middle / B), the blocks of L.
    """

    def __init__(self, right: Tensor, left: Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.right = nn.Parameter(right)
        self.left = nn.Parameter(left)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        blocks, middle, inputs = self.right.shape
        rows = x.reshape(-1, blocks, inputs).transpose(0, 1)
        hidden = rows @ self.right.transpose(1, 2)  # (block of R, row, middle / B)
        # P1: value s B + l of a block of R goes to block l of L.
        dealt = hidden.reshape(blocks, -1, middle // blocks, blocks).permute(3, 1, 0, 2)
        out = dealt.reshape(blocks, -1, middle) @ self.left.transpose(1, 2)
        # P2: value s of block l of L is output s B + l.
        y = out.permute(1, 2, 0).reshape(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias

    def dense(self) -> Tensor:
        """(outputs, inputs): the matrix that the factors make."""
        eye = torch.eye(self.right.shape[0] * self.right.shape[2], dtype=self.right.dtype)
        y = self(eye)
        return (y if self.bias is None else y - self.bias).t()


def project(weight: Tensor, shape: Monarch) -> tuple[Tensor, Tensor]:
    """The factors (of R, of L) whose matrix is nearest to `weight` in the Frobenius norm.

    With outputs taken modulo B, block (l, k) of the matrix, l of L and k of R, has rank
    middle / B^2 and factors of its own: the best ones are its truncated singular value
    decomposition (arXiv 2204.00595, section 3.1, for square matrices with B^2 = inputs).
    """
    outputs, inputs = weight.shape
    b = shape.blocks
    rank = min(outputs, inputs) // b**2
    # (l, k, outputs / B, inputs / B); output s B + l is value s of block l.
    tiles = weight.detach().double().reshape(outputs // b, b, b, inputs // b).permute(1, 2, 0, 3)
    u, s, vh = torch.linalg.svd(tiles, full_matrices=False)
    root = s[..., :rank].sqrt()
    tall = u[..., :rank] * root[..., None, :]  # (l, k, outputs / B, rank)
    wide = vh[..., :rank, :] * root[..., :, None]  # (l, k, rank, inputs / B)
    right = wide.permute(1, 2, 0, 3).reshape(b, rank * b, inputs // b)
    left = tall.permute(0, 2, 1, 3).reshape(b, outputs // b, b * rank)
    return right.to(weight.dtype).contiguous(), left.to(weight.dtype).contiguous()


def replace_linears(
    network: Network, graph: ForwardGraph, shape: Monarch
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Replace the linear layers of `network.module` that can be; the first layer stays dense.

    Args:
        graph: of the network as it is, which says which layers are run and which comes first.

    Returns:
        For the provenance: of each layer replaced, multiply-accumulates of its forward products
        (as it was, and now) and the relative error of its weights, where there are any; and why
        each other layer with weights stays dense.

    Raises:
        InputError: the graph is fixed (a ``.pt2`` or ``.onnx`` file), or no layer can be replaced.
    """
    if network.program is not None or network.source.lower().endswith(".onnx"):
        raise InputError(
            f"--prune monarch:{shape.blocks}: replaces modules; {network.source} holds a graph "
            "without them (give the model, and its weights with --checkpoint)"
        )
    module = network.module
    owners = Counter(id(value) for value in _uses(module))
    replaced: dict[str, dict[str, Any]] = {}
    kept: dict[str, str] = {}
    products: dict[str, list[ForwardGemm]] = {}
    for step in graph.steps:
        if isinstance(step, ForwardGemm) and step.weight is not None:
            products.setdefault(step.weight.parameter, []).append(step)
    for parameter, steps in products.items():
        path = parameter.removesuffix(".weight")
        layer = _linear(module, path) if path != parameter else None
        outputs, inputs = (0, 0) if layer is None else (layer.out_features, layer.in_features)
        if layer is None:
            kept[steps[0].layer] = "is no nn.Linear module"
        elif all(step.weight is not None and step.weight.first for step in steps):
            kept[path] = "first layer"
        elif owners[id(layer.weight)] > 1:
            kept[path] = "shares its weight"
        elif misfit := shape.misfit(outputs, inputs):
            kept[path] = misfit
        else:
            new, error = _factored(layer, shape)
            module.set_submodule(path, new)
            rows = sum(step.m * step.groups for step in steps)
            replaced[path] = {
                "macs_dense": rows * outputs * inputs,
                "macs": rows * shape.macs(outputs, inputs),
                **({} if error is None else {"relative_error": error}),
            }
    if not replaced:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(kept.items())[:3])
        more = f"; and {len(kept) - 3} more layers" if len(kept) > 3 else ""
        raise InputError(
            f"--prune monarch:{shape.blocks}: no layer can be replaced "
            f"({reasons or 'no layer has weights'}{more})"
        )
    return replaced, kept


def _uses(module: nn.Module) -> list[Tensor]:
    """Every parameter once per module that holds it."""
    return [value for part in module.modules() for value in part.parameters(recurse=False)]


def _linear(module: nn.Module, path: str) -> nn.Linear | None:
    """The plain linear layer at `path`: no subclass, which may be read in other ways."""
    try:
        found = module.get_submodule(path)
    except AttributeError:
        return None
    plain = type(found) is nn.Linear and "parametrizations" not in found._modules
    return found if plain and not found._forward_pre_hooks else None


def _factored(layer: nn.Linear, shape: Monarch) -> tuple[MonarchLinear, float | None]:
    """The layer with factors, and the relative error of their matrix; None without values."""
    weight, bias = layer.weight, layer.bias
    if weight.is_meta:
        sizes = shape.factors(layer.out_features, layer.in_features)
        right, left = (torch.empty(size, dtype=weight.dtype, device="meta") for size in sizes)
        return MonarchLinear(right, left, bias), None
    new = MonarchLinear(*project(weight, shape), bias)
    new.train(layer.training)
    with torch.no_grad():
        norm = float(weight.double().norm())
        error = float((new.dense().double() - weight.double()).norm())
    return new, float(f"{error / norm:.4g}") if norm else 0.0
