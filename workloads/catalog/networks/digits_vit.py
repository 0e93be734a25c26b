"""A vision transformer for 8 x 8 grey images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workloads.catalog.networks.vision_transformer import Block


class DigitsViT(nn.Module):
    """(B, 1, 8, 8) -> (B, 10); 16 patches of 2 x 2 pixels, the mean of their tokens decides."""

    def __init__(self, width: int = 48, layers: int = 2, heads: int = 4, hidden: int = 96) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(1, width, 2, stride=2)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.blocks = nn.Sequential(*(Block(width, heads, hidden) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))
