"""Attention of one new token to a cache of earlier keys and values."""

from __future__ import annotations

import torch
from torch import Tensor


def attend_to_cache(
    query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """Exact attention over the cache and the new token, without copying the cache.

    The cache is read where it lies, by two products; the score and the share of the new token
    itself are element-wise work. Its key and value, which the caller returns, are all that is
    written to the cache.

    Args:
        query: (B, heads, 1, D); key, value: (B, kv heads, 1, D), of the new token.
        keys, values: (B, kv heads, context, D).

    Returns:
        (B, 1, heads x D)
    """
    batch, heads, _, width = query.shape
    kv_heads, context = keys.shape[1], keys.shape[2]
    # Heads that share keys become rows of one product.
    rows = query.reshape(batch, kv_heads, heads // kv_heads, width) * width**-0.5
    earlier = torch.matmul(rows, keys.transpose(-2, -1))
    own = (rows * key).sum(-1, keepdim=True)
    probabilities = torch.softmax(torch.cat((earlier, own), dim=-1), dim=-1)
    out = torch.matmul(probabilities[..., :context], values)
    out = out + probabilities[..., context:] * value
    return out.reshape(batch, 1, heads * width)
