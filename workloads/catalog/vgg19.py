"""VGG-19 for CIFAR-100; with image=224, classes=1000, classifier=mlp that of ImageNet."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sparsesim.validation import Record
from workloads.catalog import CatalogEntry, Example


class Parameters(Record):
    image: int = Field(32, ge=32, description="side of the square images in pixels")
    classes: int = Field(100, ge=2, description="classes told apart")
    batch_norm: bool = Field(True, description="batch norm after every convolution")
    classifier: Literal["linear", "mlp"] = Field(
        "linear", description="one linear layer, or the three of the paper"
    )


def build(batch: int, chosen: Parameters) -> Example:
    import torch

    from workloads.catalog.networks.vgg import VGG19

    model = VGG19(chosen.classes, chosen.batch_norm, chosen.classifier)
    return model, (torch.zeros(batch, 3, chosen.image, chosen.image),)


ENTRY = CatalogEntry(
    build,
    title="VGG-19, CIFAR-100",
    source="arXiv 1409.1556; batch norm and one linear layer are customary for CIFAR",
    parameters=Parameters,
    inputs={"images": ("batch", 3, "image", "image")},
)
