"""GPT-2 (the smallest), as a whole sequence, prefill or one decoded token."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from workloads.catalog import CatalogEntry, Example
from workloads.catalog.networks.decoder_parameters import (
    INPUTS,
    DecoderParameters,
    example_inputs,
)


class Parameters(DecoderParameters):
    positions: int = Field(
        1024, ge=1, validate_default=True, description="positions the network knows"
    )

    @field_validator("positions")
    @classmethod
    def _sequence_has_positions(cls, value: int, info: ValidationInfo) -> int:
        needed = info.data.get("length", 0) + (info.data.get("mode") == "decode")
        if value < needed:
            raise ValueError(f"must be at least {needed}, for the tokens of the sequence")
        return value


def build(batch: int, chosen: Parameters) -> Example:
    from workloads.catalog.networks.gpt import GPT2

    model = GPT2(
        vocabulary=chosen.vocabulary,
        positions=chosen.positions,
        width=chosen.width,
        layers=chosen.layers,
        heads=chosen.heads,
        hidden=chosen.mlp,
        mode=chosen.mode,
    )
    return model, example_inputs(batch, chosen, chosen.heads)


ENTRY = CatalogEntry(
    build,
    title="GPT-2, 124 M",
    source="Radford et al., Language Models are Unsupervised Multitask Learners, 2019",
    parameters=Parameters,
    defaults={
        "length": 512,
        "vocabulary": 50257,
        "width": 768,
        "layers": 12,
        "heads": 12,
        "mlp": 3072,
    },
    inputs=INPUTS,
)
