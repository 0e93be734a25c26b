"""ResNet-9 for CIFAR-10, the DAWNBench network."""

from __future__ import annotations

from pydantic import Field

from sparsesim.validation import Record
from workloads.catalog import CatalogEntry, Example


class Parameters(Record):
    image: int = Field(32, ge=32, multiple_of=8, description="side of the square images in pixels")
    classes: int = Field(10, ge=2, description="classes told apart")


def build(batch: int, chosen: Parameters) -> Example:
    import torch

    from workloads.catalog.networks.resnet9 import ResNet9

    return ResNet9(chosen.classes), (torch.zeros(batch, 3, chosen.image, chosen.image),)


ENTRY = CatalogEntry(
    build,
    title="ResNet-9, CIFAR-10",
    source="D. Page, How to train your ResNet (DAWNBench, 2018)",
    parameters=Parameters,
    inputs={"images": ("batch", 3, "image", "image")},
)
