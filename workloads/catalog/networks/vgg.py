"""VGG-19 (arXiv 1409.1556, configuration E) with the state_dict keys of torchvision."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

#: (channels, convolutions) of each stage; a 2x2 max pooling ends it.
STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


class VGG19(nn.Module):
    """(B, 3, H, W) -> (B, classes)."""

    def __init__(
        self, classes: int, batch_norm: bool, classifier: Literal["linear", "mlp"]
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for channels, convolutions in STAGES:
            for _ in range(convolutions):
                layers.append(nn.Conv2d(inputs, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                inputs = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier: nn.Module
        if classifier == "linear":
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.classifier = nn.Linear(512, classes)
        else:
            self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096),
                nn.ReLU(inplace=True),
                nn.Dropout(),
                nn.Linear(4096, 4096),
                nn.ReLU(inplace=True),
                nn.Dropout(),
                nn.Linear(4096, classes),
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))
