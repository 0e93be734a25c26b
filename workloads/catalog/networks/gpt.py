"""GPT-2 decoder (Radford et al., 2019): pre-norm, learned positions, tied output layer.

The state_dict keys are the published ones; linear weights are stored (outputs, inputs), the
transpose of the published files.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from workloads.catalog.networks.cached_attention import attend_to_cache
from workloads.catalog.networks.decoder_parameters import Mode

Cache = tuple[Tensor, Tensor]
"""Keys and values, each (B, heads, T, D)."""


class Attention(nn.Module):
    """Causal self-attention; returns the keys and values of the tokens it was given, too."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        split = self.c_attn(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        if cache is None:
            out = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            out = out.transpose(1, 2).flatten(2)
        else:
            out = attend_to_cache(query, key, value, *cache)
        return self.c_proj(out), (key, value)


class Mlp(nn.Module):
    """Two linear layers with a GELU (its tanh form) between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, hidden)
        self.act = nn.GELU(approximate="tanh")
        self.c_proj = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.act(self.c_fc(x)))


class Block(nn.Module):
    """Attention and MLP, each normalised before and added to what it reads."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        attended, written = self.attn(self.ln_1(x), cache)
        x = x + attended
        return x + self.mlp(self.ln_2(x)), written


class GPT2(nn.Module):
    """Tokens (B, T) to logits and the cache that the pass writes.

    Logits are (B T, vocabulary) in the mode "sequence", else (B, vocabulary) of the last token.
    In "decode" there is one token, and the caches of all layers are read.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        positions: int,
        width: int,
        layers: int,
        heads: int,
        hidden: int,
        mode: Mode,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(positions, width)
        self.h = nn.ModuleList(Block(width, heads, hidden) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(
        self, tokens: Tensor, keys: list[Tensor] | None = None, values: list[Tensor] | None = None
    ) -> Tensor | tuple[Tensor, list[Cache]]:
        context = 0 if keys is None else keys[0].shape[2]
        x = self.wte(tokens) + self.wpe.weight[context : context + tokens.shape[1]]
        written = []
        for index, block in enumerate(self.h):
            cache = None if keys is None or values is None else (keys[index], values[index])
            x, added = block(x, cache)
            written.append(added)
        if self.mode == "sequence":
            return self.lm_head(self.ln_f(x)).flatten(0, 1)
        return self.lm_head(self.ln_f(x[:, -1])), written
