"""A small, deterministic training loop for classifiers that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Examples:
    """Images (samples, channels, height, width) and class labels (samples,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Schedule:
    """SGD with momentum, or Adam with decoupled weight decay, and a one-cycle learning rate."""

    epochs: int
    batch: int
    peak_rate: float
    momentum: float
    weight_decay: float
    optimizer: Literal["sgd", "adamw"] = "sgd"

    def steps(self, samples: int) -> int:
        """Steps over all epochs; what does not fill a batch is left out of its epoch."""
        return self.epochs * (samples // self.batch)


def _nothing(_epoch: int) -> None:
    return None


def train(
    module: nn.Module,
    examples: Examples,
    schedule: Schedule,
    seed: int,
    after_epoch: Callable[[int], None] = _nothing,
) -> None:
    """Minimise the cross entropy of `module`; the same bits for the same seed and machine.

    `after_epoch` is called with the epochs done so far; it may put `module` in evaluation mode.
    """
    count = examples.labels.numel()
    steps_an_epoch = count // schedule.batch
    optimizer: torch.optim.Optimizer
    if schedule.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            module.parameters(), lr=schedule.peak_rate, momentum=schedule.momentum,
            weight_decay=schedule.weight_decay,
        )  # fmt: skip
    else:
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=schedule.peak_rate, betas=(schedule.momentum, 0.999),
            weight_decay=schedule.weight_decay,
        )  # fmt: skip
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=schedule.peak_rate, total_steps=schedule.steps(count),
        cycle_momentum=False,
    )  # fmt: skip
    order = torch.Generator().manual_seed(seed)
    with deterministic():
        for epoch in range(schedule.epochs):
            module.train()
            shuffled = torch.randperm(count, generator=order)
            for step in range(steps_an_epoch):
                chosen = shuffled[step * schedule.batch : (step + 1) * schedule.batch]
                logits = module(examples.images[chosen])
                loss = nn.functional.cross_entropy(logits, examples.labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                rate.step()
            after_epoch(epoch + 1)


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
