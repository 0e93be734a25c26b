"""A small vision transformer on the 8 x 8 digits of scikit-learn, trained when it is extracted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workloads.catalog import CatalogEntry, Example, Trained

if TYPE_CHECKING:
    from torch import nn

    from workloads.pruning.methods import LayerPlan

EPOCHS, BATCH = 20, 64


def build(batch: int) -> Example:
    import torch

    from workloads.catalog.networks.digits_vit import DigitsViT

    return DigitsViT(), (torch.zeros(batch, 1, 8, 8),)


def training(module: nn.Module, plans: Mapping[str, LayerPlan], seed: int) -> Trained:
    """Train `module` in place by `plans` (dense where there are none)."""
    from workloads.pytorch.classifier_training import Schedule
    from workloads.pytorch.digits_training import train_on_digits

    schedule = Schedule(EPOCHS, BATCH, 4e-3, momentum=0.9, weight_decay=1e-2, optimizer="adamw")
    return train_on_digits(module, plans, seed, schedule)


ENTRY = CatalogEntry(
    build=build,
    training=training,
    title="ViT (2 layers, width 48), digits",
    source="arXiv 2010.11929; sizes chosen here for 8 x 8 images",
    inputs={"images": ("batch", 1, 8, 8)},
)
