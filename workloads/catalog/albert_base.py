"""ALBERT-base (version 2): one block, used twelve times."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.bert_parameters import INPUTS, BertParameters, build

ENTRY = CatalogEntry(
    build,
    title="ALBERT-base",
    source="arXiv 1909.11942",
    parameters=BertParameters,
    defaults={
        "vocabulary": 30000,
        "embedding": 128,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp": 3072,
        "shared": True,
    },
    inputs=INPUTS,
)
