"""What may be chosen of a decoder, and its example inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from sparsesim.validation import Record
from workloads.catalog.networks.divisibility import must_divide

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal["sequence", "prefill", "decode"]


class DecoderParameters(Record):
    mode: Mode = Field(
        "prefill",
        description="sequence: logits of every token (training); prefill: those of the last token, "
        "and the cache; decode: one new token against a cache",
    )
    length: int = Field(ge=1, description="tokens of the sequence; of the cache in decode")
    vocabulary: int = Field(ge=1, description="rows of the word embedding")
    width: int = Field(ge=1, description="channels of a token")
    layers: int = Field(ge=1, description="decoder blocks")
    heads: int = Field(ge=1, description="attention heads; divide the width")
    mlp: int = Field(ge=1, description="channels inside the feed-forward layers")

    @field_validator("heads")
    @classmethod
    def _heads_fill_the_width(cls, value: int, info: ValidationInfo) -> int:
        return must_divide(value, info, "width")


#: In decode: one token, and the caches as lists of one tensor per layer.
INPUTS: dict[str, tuple[int | str, ...]] = {"tokens": ("batch", "length")}


def example_inputs(batch: int, chosen: DecoderParameters, kv_heads: int) -> tuple[Any, ...]:
    """Tokens; in decode one, and the keys and values of `length` earlier tokens per layer."""
    import torch

    if chosen.mode != "decode":
        return (torch.zeros(batch, chosen.length, dtype=torch.int64),)
    shape = (batch, kv_heads, chosen.length, chosen.width // chosen.heads)

    def cache() -> list[Tensor]:
        return [torch.zeros(shape) for _ in range(chosen.layers)]

    return torch.zeros(batch, 1, dtype=torch.int64), cache(), cache()
