"""What may be chosen of a BERT-like encoder, and its example inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from sparsesim.errors import InputError
from sparsesim.validation import Record
from workloads.catalog import Example
from workloads.catalog.networks.divisibility import must_divide


class BertParameters(Record):
    positions: int = Field(512, ge=1, description="positions the network knows")
    length: int = Field(
        384, ge=1, validate_default=True, description="tokens of a sequence, padding included"
    )
    buckets: tuple[int, ...] = Field(
        (),
        validate_default=True,
        description="lengths of buckets, such as [128, 256, 384], that share the batch evenly "
        "instead of one padded length",
    )
    vocabulary: int = Field(ge=1, description="rows of the word embedding")
    embedding: int = Field(ge=1, description="width of the embeddings")
    width: int = Field(ge=1, description="channels of a token")
    layers: int = Field(ge=1, description="encoder blocks")
    heads: int = Field(ge=1, description="attention heads; divide the width")
    mlp: int = Field(ge=1, description="channels inside the feed-forward layers")
    shared: bool = Field(description="all blocks share their parameters")
    head: Literal["none", "pooler", "question_answering", "masked_language"] = Field(
        "pooler", description="what stands on top"
    )

    @field_validator("length")
    @classmethod
    def _length_is_known(cls, value: int, info: ValidationInfo) -> int:
        positions = info.data.get("positions")
        if positions is not None and value > positions:
            raise ValueError(f"must be at most positions ({positions})")
        return value

    @field_validator("buckets")
    @classmethod
    def _buckets_are_lengths(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        positions = info.data.get("positions")
        if any(length < 1 or (positions is not None and length > positions) for length in value):
            raise ValueError(f"each must be from 1 to positions ({positions})")
        return value

    @field_validator("heads")
    @classmethod
    def _heads_fill_the_width(cls, value: int, info: ValidationInfo) -> int:
        return must_divide(value, info, "width")


INPUTS: dict[str, tuple[int | str, ...]] = {
    "tokens": ("batch", "length"),
    "segments": ("batch", "length"),
    "mask": ("batch", 1, 1, "length"),
}
"""With buckets: lists of tokens and segments, one per bucket, and no mask."""


def build(batch: int, chosen: BertParameters) -> Example:
    """The network with a padded batch and its mask, or with one batch for each bucket.

    Raises:
        InputError: there are more buckets than samples.
    """
    import torch

    from workloads.catalog.networks.bert import Bert, BucketedBert

    model = Bert(
        vocabulary=chosen.vocabulary,
        positions=chosen.positions,
        embedding=chosen.embedding,
        width=chosen.width,
        layers=chosen.layers,
        heads=chosen.heads,
        hidden=chosen.mlp,
        shared=chosen.shared,
        head=chosen.head,
    )
    if not chosen.buckets:
        shape = (batch, chosen.length)
        tokens, segments = (torch.zeros(shape, dtype=torch.int64) for _ in range(2))
        mask = torch.ones(batch, 1, 1, chosen.length, dtype=torch.bool)
        return model, (tokens, segments, mask)
    count = len(chosen.buckets)
    if batch < count:
        raise InputError(f"--batch {batch}: fewer samples than the {count} buckets")
    shares = [batch // count + (index < batch % count) for index in range(count)]
    examples = [
        [
            torch.zeros(share, length, dtype=torch.int64)
            for share, length in zip(shares, chosen.buckets, strict=True)
        ]
        for _ in range(2)
    ]
    return BucketedBert(model), tuple(examples)
