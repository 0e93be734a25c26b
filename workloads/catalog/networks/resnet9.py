"""ResNet-9: eight convolutions, two of the stages with a residual pair, and a linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNormReLU(nn.Module):
    """3x3 convolution, batch norm, ReLU and, if asked, 2x2 max pooling."""

    def __init__(self, inputs: int, outputs: int, pool: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.relu(self.bn(self.conv(x))))


class ResidualPair(nn.Module):
    """Two convolutions added to what they read."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNormReLU(width, width)
        self.conv2 = ConvNormReLU(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.conv1(x))


class ResNet9(nn.Module):
    """(B, 3, H, W) -> (B, classes); H and W multiples of 8."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.prep = ConvNormReLU(3, 64)
        self.layer1 = nn.Sequential(ConvNormReLU(64, 128, pool=True), ResidualPair(128))
        self.layer2 = ConvNormReLU(128, 256, pool=True)
        self.layer3 = nn.Sequential(ConvNormReLU(256, 512, pool=True), ResidualPair(512))
        self.pool = nn.AdaptiveMaxPool2d((1, 1))
        self.fc = nn.Linear(512, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.prep(x))))
        return self.fc(torch.flatten(self.pool(x), 1))
