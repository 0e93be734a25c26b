"""BERT-large, uncased."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.bert_parameters import INPUTS, BertParameters, build

ENTRY = CatalogEntry(
    build,
    title="BERT-large",
    source="arXiv 1810.04805",
    parameters=BertParameters,
    defaults={
        "vocabulary": 30522,
        "embedding": 1024,
        "width": 1024,
        "layers": 24,
        "heads": 16,
        "mlp": 4096,
        "shared": False,
    },
    inputs=INPUTS,
)
