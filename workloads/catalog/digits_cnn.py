"""A small CNN on the 8 x 8 digits of scikit-learn, trained for real when it is extracted.

Digits are close to saturated: this shows that a method trains, not how it fares on ImageNet.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from sparsesim.errors import InputError
from workloads.catalog import CatalogEntry, Trained
from workloads.pruning.methods import LayerPlan
from workloads.pytorch.classifier_training import Examples, Schedule, accuracy, train
from workloads.pytorch.nm_autograd import DECAY, install_plans

SCHEDULE = Schedule(epochs=12, batch=64, peak_rate=0.1, momentum=0.9, weight_decay=1e-4)
HELD_OUT = 0.3


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


def digits(seed: int) -> tuple[Examples, Examples]:
    """Training and held-out digits, split by class with `seed`; pixels from 0 to 1.

    Raises:
        InputError: scikit-learn, which ships the digits, is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("digits_cnn: needs scikit-learn (pip install 'sparsesim[torch]')")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images.reshape(-1, 1, 8, 8) / 16.0,
        labels,
        test_size=HELD_OUT,
        random_state=seed,
        stratify=labels,
    )
    x_train, x_test = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y_train, y_test = (torch.tensor(part, dtype=torch.int64) for part in parts[2:])
    return Examples(x_train, y_train), Examples(x_test, y_test)


def training(module: nn.Module, plans: Mapping[str, LayerPlan], seed: int) -> Trained:
    """Train `module` in place by `plans` (dense where there are none).

    Held-out accuracy is that of the network as inference runs it: with its forward masks.
    """
    learning, held_out = digits(seed)
    install_plans(module, dict(plans))
    train(module, learning, SCHEDULE, seed)
    settings = {
        "data": "scikit-learn load_digits",
        "training_samples": learning.labels.numel(),
        "held_out_samples": held_out.labels.numel(),
        "sr_ste_decay": DECAY,
        **asdict(SCHEDULE),
    }
    return Trained(module.state_dict(), accuracy(module, held_out), settings)


ENTRY = CatalogEntry(build=build, training=training)
