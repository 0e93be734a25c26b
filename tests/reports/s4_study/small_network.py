"""A network so small that the study of it takes seconds."""

from __future__ import annotations

from typing import Any

SOURCE = "tests.reports.s4_study.small_network:small"


def small(batch: int = 4) -> tuple[Any, tuple[Any, ...]]:
    """A stem that stays dense, two convolutions and a classifier that can be balanced."""
    import torch
    from torch import nn

    module = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    return module, (torch.zeros(batch, 3, 16, 16),)
