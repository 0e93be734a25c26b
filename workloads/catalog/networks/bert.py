"""BERT encoder (arXiv 1810.04805) and its sharing variant ALBERT (arXiv 1909.11942).

The state_dict keys are those of the published checkpoints (`encoder.layer.0.attention.self.query`,
`embeddings.word_embeddings`); a head's keys stand beside them.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Head = Literal["none", "pooler", "question_answering", "masked_language"]


class Embeddings(nn.Module):
    """Sum of word, position and segment embeddings, normalised: (B, T) -> (B, T, width)."""

    def __init__(self, vocabulary: int, positions: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, width)
        self.position_embeddings = nn.Embedding(positions, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(0.1)

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: tokens.shape[1]]
        x = self.word_embeddings(tokens) + self.token_type_embeddings(segments) + positions
        return self.dropout(self.LayerNorm(x))


class SelfAttention(nn.Module):
    """Attention of every token to the tokens that `mask` (B, 1, 1, T) keeps."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            product(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for product in (self.query, self.key, self.value)
        )
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return out.transpose(1, 2).flatten(2)


class ResidualOutput(nn.Module):
    """A linear layer added to what the sub-layer read, then normalised."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.dropout = nn.Dropout(0.1)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class Layer(nn.Module):
    """One encoder block, normalised after each sub-layer: (B, T, width) -> the same."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict(
            {"self": SelfAttention(width, heads), "output": ResidualOutput(width, width)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.activation = nn.GELU()
        self.output = ResidualOutput(hidden, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(self.activation(self.intermediate["dense"](x)), x)


class Encoder(nn.Module):
    """Blocks one after the other; with `shared`, one block is used `layers` times."""

    def __init__(
        self, width: int, layers: int, heads: int, hidden: int, shared: bool, inputs: int
    ) -> None:
        super().__init__()
        self.uses = layers
        blocks = 1 if shared else layers
        self.embedding_hidden_mapping_in = (
            nn.Linear(inputs, width) if inputs != width else nn.Identity()
        )
        self.layer = nn.ModuleList(Layer(width, heads, hidden) for _ in range(blocks))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.embedding_hidden_mapping_in(x)
        for use in range(self.uses):
            x = self.layer[use % len(self.layer)](x, mask)
        return x


class Bert(nn.Module):
    """Token numbers to what `head` gives.

    Args:
        embedding: width of the embeddings; another one than `width` is mapped (ALBERT).
        shared: all blocks share their parameters (ALBERT).
        head: "none": (B, T, width); "pooler": (B, width); "question_answering": (B, T, 2);
            "masked_language": (B T, vocabulary), by the transposed word embeddings.
    """

    def __init__(
        self,
        *,
        vocabulary: int,
        positions: int,
        embedding: int,
        width: int,
        layers: int,
        heads: int,
        hidden: int,
        shared: bool,
        head: Head,
    ) -> None:
        super().__init__()
        self.head = head
        self.embeddings = Embeddings(vocabulary, positions, embedding)
        self.encoder = Encoder(width, layers, heads, hidden, shared, embedding)
        if head == "pooler":
            self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})
        elif head == "question_answering":
            self.qa_outputs = nn.Linear(width, 2)
        elif head == "masked_language":
            self.transform = nn.Sequential(
                nn.Linear(width, embedding), nn.GELU(), nn.LayerNorm(embedding, eps=1e-12)
            )
            self.decoder = nn.Linear(embedding, vocabulary)
            self.decoder.weight = self.embeddings.word_embeddings.weight

    def forward(self, tokens: Tensor, segments: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.encoder(self.embeddings(tokens, segments), mask)
        if self.head == "pooler":
            return torch.tanh(self.pooler["dense"](x[:, 0]))
        if self.head == "question_answering":
            return self.qa_outputs(x)
        if self.head == "masked_language":
            return self.decoder(self.transform(x)).flatten(0, 1)
        return x


class BucketedBert(nn.Module):
    """Sequences sorted into buckets by length: one pass of the same network for each bucket.

    Outputs of the buckets are joined along the batch; with a head that gives a row per token
    they are joined along the tokens.
    """

    def __init__(self, bert: Bert) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, tokens: list[Tensor], segments: list[Tensor]) -> Tensor:
        outputs = [self.bert(*bucket) for bucket in zip(tokens, segments, strict=True)]
        if self.bert.head in ("none", "question_answering"):
            outputs = [output.flatten(0, 1) for output in outputs]
        return torch.cat(outputs)
