"""Which keys, values and tokens an attention keeps when its cache is pruned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workloads.activation_masks import Kept, Side
from workloads.activation_recipe import Alisa, KvCache, Mustafar
from workloads.pytorch.lowering_context import AttentionOrigin


def fused_attention_masks(
    origin: AttentionOrigin, args: tuple[Any, ...], kwargs: dict[str, Any], recipe: KvCache
) -> Iterator[tuple[str, Side, Kept]]:
    """Masks of the operands of both products of a `scaled_dot_product_attention`.

    Yields:
        Name of the product, side, (groups x rows, reduction) booleans.
    """
    named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args,
                     strict=False)) | kwargs  # fmt: skip
    query, key, value = (named[name].float() for name in ("query", "key", "value"))
    groups = math.prod(query.shape[:-2])
    key, value = (_heads(part, query, groups) for part in (key, value))
    query = query.reshape(groups, *query.shape[-2:])
    attention = probabilities(query, key, named)
    yield from attention_masks(origin.scores, origin.values, key, value, attention, recipe)


def attention_masks(
    scores: str, values: str, key: Tensor, value: Tensor, attention: Tensor, recipe: KvCache
) -> Iterator[tuple[str, Side, Kept]]:
    """Masks of the operands of both products, `scores` and `values`, of an attention.

    Args:
        scores, values: names of the products.
        key, value: (groups, tokens, width).
        attention: weights, (groups, queries, tokens).
        recipe: how the cache is pruned.
    """
    if isinstance(recipe, Mustafar):
        kept_key, kept_value = (largest_per_token(part, recipe) for part in (key, value))
        yield scores, "b", _matrix(kept_key)
        yield values, "b", _matrix(kept_value.transpose(1, 2))
        return
    kept = attended_tokens(attention, recipe)
    yield values, "a", _matrix(kept)
    used = kept.any(dim=1)  # a token that no query attends to is not read at all
    yield scores, "b", _matrix(used.unsqueeze(2).expand_as(key))
    yield values, "b", _matrix(used.unsqueeze(1).expand(-1, value.shape[2], -1))


def _heads(part: Tensor, query: Tensor, groups: int) -> Tensor:
    """Keys or values as (groups, tokens, width); grouped queries share the heads they read."""
    batches = query.shape[:-2]
    if part.shape[:-2] != batches and part.ndim == query.ndim and part.ndim > 2:
        part = part.repeat_interleave(batches[-1] // part.shape[-3], dim=-3)
    return part.expand(*batches, *part.shape[-2:]).reshape(groups, *part.shape[-2:])


def _matrix(kept: Tensor) -> Kept:
    return np.ascontiguousarray(kept.reshape(-1, kept.shape[-1]).numpy())


def largest_per_token(cache: Tensor, recipe: Mustafar) -> Tensor:
    """Per token the largest magnitudes, (groups, tokens, width) booleans; recent ones whole."""
    width = cache.shape[-1]
    count = max(1, width - round(width * recipe.removed))
    chosen = cache.abs().topk(count, dim=-1).indices
    kept = torch.zeros(cache.shape, dtype=torch.bool).scatter_(-1, chosen, True)
    if recipe.window:
        kept[:, -recipe.window :] = True
    return kept


def probabilities(query: Tensor, key: Tensor, named: dict[str, Any]) -> Tensor:
    """Attention weights, (groups, queries, tokens)."""
    scale = named.get("scale") or 1 / math.sqrt(query.shape[-1])
    scores = query @ key.transpose(1, 2) * scale
    queries, tokens = scores.shape[1:]
    if named.get("is_causal"):
        ahead = torch.ones(queries, tokens, dtype=torch.bool).triu(1)
        scores = scores.masked_fill(ahead, -math.inf)
    mask = named.get("attn_mask")
    if mask is not None:
        bias = torch.where(mask, 0.0, -math.inf) if mask.dtype is torch.bool else mask.float()
        wide = bias.expand(*named["query"].shape[:-2], queries, tokens)
        scores = scores + wide.reshape(scores.shape)
    return scores.softmax(-1).nan_to_num(0.0)


def attended_tokens(attention: Tensor, recipe: Alisa) -> Tensor:
    """Which tokens each query attends to, (groups, queries, tokens) booleans.

    Of the tokens before a query (all those that its mask lets it see), a `kept` fraction: half of
    it the most recent, the other half those that the queries before it attended to most. Queries
    that are fewer than the tokens (a step against a cache) have no queries before them: their own
    attention stands for it.
    """
    groups, queries, tokens = attention.shape
    own = attention.sum(dim=1) if queries < tokens else None
    kept = torch.zeros_like(attention, dtype=torch.bool)
    so_far = torch.zeros(groups, tokens) if own is None else own
    for index in range(queries):
        row = attention[:, index]
        seen = row > 0
        last = int(seen.any(dim=0).nonzero().max()) if bool(seen.any()) else 0
        budget = max(1, round((last + 1) * recipe.kept))
        recent = budget - budget // 2
        first = max(0, last + 1 - recent)
        kept[:, index, first : last + 1] = True
        if budget // 2 and first:
            heavy = so_far[:, :first].topk(min(budget // 2, first), dim=1).indices
            kept[:, index].scatter_(1, heavy, True)
        if own is None:
            so_far += row
    return kept & (attention > 0)
