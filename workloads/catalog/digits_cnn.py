"""A small CNN on the 8 x 8 digits of scikit-learn, trained for real when it is extracted.

Digits are close to saturated: this shows that a method trains, not how it fares on ImageNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workloads.catalog import CatalogEntry, Trained
from workloads.pruning.methods import LayerPlan
from workloads.pytorch.classifier_training import Schedule
from workloads.pytorch.digits_training import train_on_digits

SCHEDULE = Schedule(epochs=12, batch=64, peak_rate=0.1, momentum=0.9, weight_decay=1e-4)


class DigitsCNN(nn.Module):
    """(B, 1, 8, 8) -> (B, 10); three convolutions and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(256, 192)
        self.fc2 = nn.Linear(192, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.pool(self.relu(self.bn2(self.conv2(x))))
        x = self.pool(self.relu(self.bn3(self.conv3(x))))
        x = self.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


def build(batch: int) -> tuple[nn.Module, tuple[Any, ...]]:
    """The untrained network and a batch of 8 x 8 images."""
    return DigitsCNN(), (torch.zeros(batch, 1, 8, 8),)


def training(module: nn.Module, plans: Mapping[str, LayerPlan], seed: int) -> Trained:
    """Train `module` in place by `plans` (dense where there are none)."""
    return train_on_digits(module, plans, seed, SCHEDULE)


ENTRY = CatalogEntry(
    build=build,
    training=training,
    title="CNN (3 convolutions), digits",
    source="sizes chosen here for 8 x 8 images",
    inputs={"images": ("batch", 1, 8, 8)},
)
