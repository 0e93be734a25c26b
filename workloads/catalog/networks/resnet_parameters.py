"""What may be chosen of a residual network of four stages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from sparsesim.validation import Record
from workloads.catalog import Example


class ResNetParameters(Record):
    image: int = Field(224, ge=32, description="side of the square images in pixels")
    classes: int = Field(1000, ge=2, description="classes told apart")
    stem: Literal["3x3", "7x7"] = Field(
        "7x7", description="first convolution; the 7x7 one strides and is pooled"
    )
    bottleneck: bool = Field(description="blocks of 1x1, 3x3 and 1x1 convolutions, or of two 3x3")
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = Field(
        description="blocks in each of the four stages"
    )


INPUTS: dict[str, tuple[int | str, ...]] = {"images": ("batch", 3, "image", "image")}


def build(batch: int, chosen: ResNetParameters) -> Example:
    """The network and a batch of images."""
    import torch

    from workloads.catalog.networks.resnet import BasicBlock, Bottleneck, ResNet

    block = Bottleneck if chosen.bottleneck else BasicBlock
    model = ResNet(block, chosen.blocks, chosen.classes, chosen.stem)
    return model, (torch.zeros(batch, 3, chosen.image, chosen.image),)
