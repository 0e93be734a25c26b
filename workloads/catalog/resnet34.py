"""ResNet-34 for ImageNet."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.resnet_parameters import INPUTS, ResNetParameters, build

ENTRY = CatalogEntry(
    build,
    title="ResNet-34, ImageNet",
    source="arXiv 1512.03385",
    parameters=ResNetParameters,
    defaults={"bottleneck": False, "blocks": (3, 4, 6, 3)},
    inputs=INPUTS,
)
