"""MiniLM with six layers, the size of all-MiniLM-L6-v2 (its published weights fit)."""

from __future__ import annotations

from workloads.catalog import CatalogEntry
from workloads.catalog.networks.bert_parameters import INPUTS, BertParameters, build

ENTRY = CatalogEntry(
    build,
    title="MiniLM-L6 (sentence embeddings)",
    source="arXiv 2002.10957; sizes of the published all-MiniLM-L6-v2",
    parameters=BertParameters,
    defaults={
        "length": 128,
        "vocabulary": 30522,
        "embedding": 384,
        "width": 384,
        "layers": 6,
        "heads": 12,
        "mlp": 1536,
        "shared": False,
    },
    inputs=INPUTS,
)
