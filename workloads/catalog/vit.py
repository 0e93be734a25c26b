"""A small vision transformer for CIFAR-100: 65 tokens."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.vision_transformer_parameters import (
    VisionTransformerParameters,
    build,
)

ENTRY = CatalogEntry(
    build,
    title="ViT (6 layers, width 512), CIFAR-100",
    source="arXiv 2010.11929; the sizes are customary for CIFAR, assumed for SAT",
    parameters=VisionTransformerParameters,
    defaults={
        "image": 32,
        "patch": 4,
        "classes": 100,
        "width": 512,
        "layers": 6,
        "heads": 8,
        "mlp": 512,
    },
    inputs={"images": ("batch", 3, "image", "image")},
)
