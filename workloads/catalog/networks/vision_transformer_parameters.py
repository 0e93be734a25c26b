"""What may be chosen of a vision transformer."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from sparsesim.validation import Record
from workloads.catalog import Example
from workloads.catalog.networks.divisibility import must_divide


class VisionTransformerParameters(Record):
    image: int = Field(ge=1, description="side of the square images in pixels")
    patch: int = Field(ge=1, description="side of a patch in pixels; divides the image")
    classes: int = Field(ge=2, description="classes told apart")
    width: int = Field(ge=1, description="channels of a token")
    layers: int = Field(ge=1, description="transformer blocks")
    heads: int = Field(ge=1, description="attention heads; divide the width")
    mlp: int = Field(ge=1, description="channels inside the MLP")

    @field_validator("patch")
    @classmethod
    def _patches_fill_the_image(cls, value: int, info: ValidationInfo) -> int:
        return must_divide(value, info, "image")

    @field_validator("heads")
    @classmethod
    def _heads_fill_the_width(cls, value: int, info: ValidationInfo) -> int:
        return must_divide(value, info, "width")


def build(batch: int, chosen: VisionTransformerParameters) -> Example:
    """The network and a batch of images."""
    import torch

    from workloads.catalog.networks.vision_transformer import VisionTransformer

    model = VisionTransformer(
        image=chosen.image,
        patch=chosen.patch,
        classes=chosen.classes,
        width=chosen.width,
        layers=chosen.layers,
        heads=chosen.heads,
        hidden=chosen.mlp,
    )
    return model, (torch.zeros(batch, 3, chosen.image, chosen.image),)
