"""ResNet-18 for ImageNet."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.resnet_parameters import INPUTS, ResNetParameters, build

ENTRY = CatalogEntry(
    build,
    title="ResNet-18, ImageNet",
    source="arXiv 1512.03385",
    parameters=ResNetParameters,
    defaults={"bottleneck": False, "blocks": (2, 2, 2, 2)},
    inputs=INPUTS,
)
