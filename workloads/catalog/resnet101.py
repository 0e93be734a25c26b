"""ResNet-101 for ImageNet."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.resnet_parameters import INPUTS, ResNetParameters, build

ENTRY = CatalogEntry(
    build,
    title="ResNet-101, ImageNet",
    source="arXiv 1512.03385, with the stride in the 3x3 convolution as torchvision has it",
    parameters=ResNetParameters,
    defaults={"bottleneck": True, "blocks": (3, 4, 23, 3)},
    inputs=INPUTS,
)
