"""ResNet-18 for Tiny-ImageNet: small images, so the stem neither strides nor pools."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.resnet_parameters import INPUTS, ResNetParameters, build

ENTRY = CatalogEntry(
    build,
    title="ResNet-18, Tiny-ImageNet",
    source="arXiv 1512.03385; the 3x3 stem is customary for 64 pixels, not published",
    parameters=ResNetParameters,
    defaults={
        "image": 64,
        "classes": 200,
        "stem": "3x3",
        "bottleneck": False,
        "blocks": (2, 2, 2, 2),
    },
    inputs=INPUTS,
)
