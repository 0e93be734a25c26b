"""Llama decoder (arXiv 2302.13971, 2307.09288): RMS norm, rotary positions, gated MLP.

The state_dict keys are those of the published checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workloads.catalog.networks.cached_attention import attend_to_cache
from workloads.catalog.networks.decoder_parameters import Mode

Cache = tuple[Tensor, Tensor]
"""Keys and values, each (B, kv heads, T, D)."""


class Attention(nn.Module):
    """Causal self-attention with rotary positions; several heads may share keys and values."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        head = width // heads
        self.q_proj = nn.Linear(width, heads * head, bias=False)
        self.k_proj = nn.Linear(width, kv_heads * head, bias=False)
        self.v_proj = nn.Linear(width, kv_heads * head, bias=False)
        self.o_proj = nn.Linear(heads * head, width, bias=False)

    def forward(self, x: Tensor, turns: Cache, cache: Cache | None) -> tuple[Tensor, Cache]:
        query = rotated(self.q_proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2), turns)
        key = rotated(self.k_proj(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2), turns)
        value = self.v_proj(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        if cache is None:
            grouped = self.kv_heads != self.heads
            out = F.scaled_dot_product_attention(
                query, key, value, is_causal=True, enable_gqa=grouped
            )
            out = out.transpose(1, 2).flatten(2)
        else:
            out = attend_to_cache(query, key, value, *cache)
        return self.o_proj(out), (key, value)


def rotary_turns(first: int, tokens: int, head: int, like: Tensor) -> Cache:
    """Cosines and sines, each (tokens, head), of positions from `first` on."""
    steps = torch.arange(0, head, 2, device=like.device) / head
    positions = torch.arange(first, first + tokens, device=like.device)
    angles = positions[:, None] * 10000.0**-steps
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotated(x: Tensor, turns: Cache) -> Tensor:
    """Turn each pair of channels (c, c + D/2) of (B, heads, T, D) by the angle of its token."""
    cosines, sines = turns
    low, high = x.chunk(2, dim=-1)
    return x * cosines + torch.cat((-high, low), dim=-1) * sines


class GatedMlp(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)
        self.act_fn = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Attention and MLP, each normalised before and added to what it reads."""

    def __init__(self, width: int, heads: int, kv_heads: int, hidden: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(width, eps=1e-5)
        self.self_attn = Attention(width, heads, kv_heads)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=1e-5)
        self.mlp = GatedMlp(width, hidden)

    def forward(self, x: Tensor, turns: Cache, cache: Cache | None) -> tuple[Tensor, Cache]:
        attended, written = self.self_attn(self.input_layernorm(x), turns, cache)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), written


class Decoder(nn.Module):
    """Embedding, blocks and last norm."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, hidden: int
    ) -> None:
        super().__init__()
        self.head = width // heads
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Block(width, heads, kv_heads, hidden) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)

    def forward(
        self, tokens: Tensor, keys: list[Tensor] | None, values: list[Tensor] | None
    ) -> tuple[Tensor, list[Cache]]:
        x = self.embed_tokens(tokens)
        context = 0 if keys is None else keys[0].shape[2]
        turns = rotary_turns(context, tokens.shape[1], self.head, x)
        written = []
        for index, block in enumerate(self.layers):
            cache = None if keys is None or values is None else (keys[index], values[index])
            x, added = block(x, turns, cache)
            written.append(added)
        return x, written


class Llama(nn.Module):
    """Tokens (B, T) to logits and the cache that the pass writes.

    Logits are (B T, vocabulary) in the mode "sequence", else (B, vocabulary) of the last token.
    In "decode" there is one token, and the caches of all layers are read.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int,
        hidden: int,
        mode: Mode,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.model = Decoder(vocabulary, width, layers, heads, kv_heads, hidden)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)

    def forward(
        self, tokens: Tensor, keys: list[Tensor] | None = None, values: list[Tensor] | None = None
    ) -> Tensor | tuple[Tensor, list[Cache]]:
        x, written = self.model(tokens, keys, values)
        if self.mode == "sequence":
            return self.lm_head(self.model.norm(x)).flatten(0, 1)
        return self.lm_head(self.model.norm(x[:, -1])), written
