"""ResNet-18 for ImageNet."""

from __future__ import annotations

from pydantic import Field

from sparsesim.validation import Record
from workloads.catalog import CatalogEntry, Example


class Parameters(Record):
    image: int = Field(224, ge=32, description="side of the square images in pixels")
    classes: int = Field(1000, ge=2, description="classes told apart")


def build(batch: int, chosen: Parameters) -> Example:
    import torch

    from workloads.catalog.networks.resnet import resnet18

    return resnet18(chosen.classes), (torch.zeros(batch, 3, chosen.image, chosen.image),)


ENTRY = CatalogEntry(
    build,
    title="ResNet-18, ImageNet",
    source="arXiv 1512.03385",
    parameters=Parameters,
    inputs={"images": ("batch", 3, "image", "image")},
)
