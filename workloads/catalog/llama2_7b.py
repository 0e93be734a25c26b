"""Llama 2 with 7 G parameters, built without weights; other sizes through the parameters."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from workloads.catalog import CatalogEntry, Example
from workloads.catalog.networks.decoder_parameters import (
    INPUTS,
    DecoderParameters,
    example_inputs,
)
from workloads.catalog.networks.divisibility import must_divide


class Parameters(DecoderParameters):
    kv_heads: int = Field(
        32, ge=1, validate_default=True, description="heads of keys and values; divide the heads"
    )

    @field_validator("kv_heads")
    @classmethod
    def _heads_share_evenly(cls, value: int, info: ValidationInfo) -> int:
        return must_divide(value, info, "heads")


def build(batch: int, chosen: Parameters) -> Example:
    from workloads.catalog.networks.llama import Llama

    model = Llama(
        vocabulary=chosen.vocabulary,
        width=chosen.width,
        layers=chosen.layers,
        heads=chosen.heads,
        kv_heads=chosen.kv_heads,
        hidden=chosen.mlp,
        mode=chosen.mode,
    )
    return model, example_inputs(batch, chosen, chosen.kv_heads)


ENTRY = CatalogEntry(
    build,
    title="Llama 2, 7 G",
    source="arXiv 2307.09288",
    parameters=Parameters,
    defaults={
        "length": 2048,
        "vocabulary": 32000,
        "width": 4096,
        "layers": 32,
        "heads": 32,
        "mlp": 11008,
    },
    inputs=INPUTS,
    lazy=True,
)
