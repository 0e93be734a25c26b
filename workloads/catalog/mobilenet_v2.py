"""MobileNetV2 for ImageNet."""

from __future__ import annotations

from pydantic import Field

from sparsesim.validation import Record
from workloads.catalog import CatalogEntry, Example


class Parameters(Record):
    image: int = Field(224, ge=32, description="side of the square images in pixels")
    classes: int = Field(1000, ge=2, description="classes told apart")
    width: float = Field(1.0, gt=0, le=4, description="multiplier of all channels")


def build(batch: int, chosen: Parameters) -> Example:
    import torch

    from workloads.catalog.networks.mobilenet import MobileNetV2

    model = MobileNetV2(chosen.classes, chosen.width)
    return model, (torch.zeros(batch, 3, chosen.image, chosen.image),)


ENTRY = CatalogEntry(
    build,
    title="MobileNetV2, ImageNet",
    source="arXiv 1801.04381",
    parameters=Parameters,
    inputs={"images": ("batch", 3, "image", "image")},
)
