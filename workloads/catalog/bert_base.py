"""BERT-base, uncased."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.bert_parameters import INPUTS, BertParameters, build

ENTRY = CatalogEntry(
    build,
    title="BERT-base",
    source="arXiv 1810.04805",
    parameters=BertParameters,
    defaults={
        "vocabulary": 30522,
        "embedding": 768,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp": 3072,
        "shared": False,
    },
    inputs=INPUTS,
)
