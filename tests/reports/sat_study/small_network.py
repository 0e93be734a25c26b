"""A network so small that a whole study of it takes seconds."""

from __future__ import annotations

from typing import Any

SOURCE = "tests.reports.sat_study.small_network:small"


def small(batch: int = 2) -> tuple[Any, tuple[Any, ...]]:
    """Three convolutions with batch-norm; the second and third can be N:M up to M = 8."""
    import torch
    from torch import nn

    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return module, (torch.zeros(batch, 3, 8, 8),)
