"""ResNet-18 for Tiny-ImageNet: small images, so the stem neither strides nor pools."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sparsesim.validation import Record
from workloads.catalog import CatalogEntry, Example


class Parameters(Record):
    image: int = Field(64, ge=32, description="side of the square images in pixels")
    classes: int = Field(200, ge=2, description="classes told apart")
    stem: Literal["3x3", "7x7"] = Field("3x3", description="first convolution; 7x7 also pools")


def build(batch: int, chosen: Parameters) -> Example:
    import torch

    from workloads.catalog.networks.resnet import resnet18

    model = resnet18(chosen.classes, chosen.stem)
    return model, (torch.zeros(batch, 3, chosen.image, chosen.image),)


ENTRY = CatalogEntry(
    build,
    title="ResNet-18, Tiny-ImageNet",
    source="arXiv 1512.03385; the 3x3 stem is customary for 64 pixels, not published",
    parameters=Parameters,
    inputs={"images": ("batch", 3, "image", "image")},
)
