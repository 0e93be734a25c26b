"""A small, deterministic training loop for classifiers that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Examples:
    """Images (samples, channels, height, width) and class labels (samples,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Schedule:
    """SGD with momentum and a one-cycle learning rate."""

    epochs: int
    batch: int
    peak_rate: float
    momentum: float
    weight_decay: float


def train(module: nn.Module, examples: Examples, schedule: Schedule, seed: int) -> None:
    """Minimise the cross entropy of `module`; the same bits for the same seed and machine."""
    count = examples.labels.numel()
    steps_an_epoch = count // schedule.batch
    optimizer = torch.optim.SGD(
        module.parameters(), lr=schedule.peak_rate, momentum=schedule.momentum,
        weight_decay=schedule.weight_decay,
    )  # fmt: skip
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=schedule.peak_rate, total_steps=schedule.epochs * steps_an_epoch,
        cycle_momentum=False,
    )  # fmt: skip
    order = torch.Generator().manual_seed(seed)
    module.train()
    with deterministic():
        for _ in range(schedule.epochs):
            shuffled = torch.randperm(count, generator=order)
            for step in range(steps_an_epoch):
                chosen = shuffled[step * schedule.batch : (step + 1) * schedule.batch]
                logits = module(examples.images[chosen])
                loss = nn.functional.cross_entropy(logits, examples.labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()


def accuracy(module: nn.Module, examples: Examples) -> float:
    """Fraction of `examples` that `module` classifies correctly, in evaluation mode."""
    module.eval()
    with torch.no_grad(), deterministic():
        right = module(examples.images).argmax(dim=1) == examples.labels
    return float(right.float().mean())


@contextmanager
def deterministic() -> Iterator[None]:
    """One thread and deterministic algorithms; torch's own settings are restored afterwards."""
    threads = torch.get_num_threads()
    enabled = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled)
        torch.set_num_threads(threads)
