"""ViT-B/16 for ImageNet."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.vision_transformer_parameters import (
    VisionTransformerParameters,
    build,
)

ENTRY = CatalogEntry(
    build,
    title="ViT-B/16, ImageNet",
    source="arXiv 2010.11929",
    parameters=VisionTransformerParameters,
    defaults={
        "image": 224,
        "patch": 16,
        "classes": 1000,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp": 3072,
    },
    inputs={"images": ("batch", 3, "image", "image")},
)
