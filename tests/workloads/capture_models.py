"""Small models with the ways people write layers; each function gives a module and its input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Model = tuple[nn.Module, Tensor]


class Deconvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1, groups=2)
        self.dilated = nn.Conv2d(8, 8, 3, dilation=2, padding=2)
        self.out = nn.ConvTranspose2d(8, 4, 3, stride=2, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.dilated(F.relu(self.up(F.relu(self.down(x)))))))


def transposed(batch: int) -> Model:
    return Deconvolution(), torch.randn(batch, 3, 16, 16)


class Volumes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv3d(2, 8, 3, padding=1)
        self.b = nn.Conv3d(8, 8, 3, stride=2, groups=2)
        self.c = nn.ConvTranspose1d(8, 4, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(F.relu(self.a(x))).flatten(2))


def volumes(batch: int) -> Model:
    return Volumes(), torch.randn(batch, 2, 6, 8, 8)


class Recurrent(nn.Module):
    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 16)
        self.layers = getattr(nn, kind)(16, 24, batch_first=True, **options)
        self.head = nn.Linear(24 * (2 if options.get("bidirectional") else 1), 30)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(tokens))[0][:, -1])


def lstm(batch: int) -> Model:
    tokens = torch.randint(0, 30, (batch, 4))
    return Recurrent("LSTM", num_layers=2, bidirectional=True), tokens


def gru(batch: int) -> Model:
    return Recurrent("GRU", num_layers=2), torch.randint(0, 30, (batch, 4))


def rnn(batch: int) -> Model:
    return Recurrent("RNN", bidirectional=True), torch.randint(0, 30, (batch, 4))


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.LSTMCell(8, 16), nn.GRUCell(16, 12), nn.RNNCell(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], 16)
        g, r = x.new_zeros(x.shape[0], 12), x.new_zeros(x.shape[0], 8)
        for step in range(x.shape[1]):
            h, c = self.a(x[:, step], (h, c))
            g = self.b(h, g)
            r = self.c(g, r)
        return r


def cells(batch: int) -> Model:
    return Cells(), torch.randn(batch, 3, 8)


class Experts(nn.Module):
    """Top-2 routing: each expert runs on the tokens that chose it, however many."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate = nn.Linear(16, 16), nn.Linear(16, 4, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        weights, chosen = torch.topk(F.softmax(self.gate(x), -1), 2, -1)
        y = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            rows, slot = torch.where(chosen == index)
            y.index_add_(0, rows, expert(x[rows]) * weights[rows, slot].unsqueeze(-1))
        return y


def experts(batch: int) -> Model:
    return Experts(), torch.randn(batch, 16)


class DenseDispatch(nn.Module):
    """Switch routing by one-hot einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4)
        self.w1 = nn.Parameter(torch.randn(4, 16, 32))
        self.w2 = nn.Parameter(torch.randn(4, 32, 16))

    def forward(self, x: Tensor) -> Tensor:
        probability, chosen = F.softmax(self.gate(x), -1).max(-1)
        one_hot = F.one_hot(chosen, 4).to(x.dtype)
        sent = torch.einsum("td,te->etd", x, one_hot)
        hidden = torch.relu(torch.einsum("etd,edh->eth", sent, self.w1))
        back = torch.einsum("eth,ehd->etd", hidden, self.w2)
        return torch.einsum("etd,te->td", back, one_hot) * probability[:, None]


def switch(batch: int) -> Model:
    return DenseDispatch(), torch.randn(batch, 16)


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=True)
        self.decoder = nn.TransformerDecoderLayer(32, 4, 64, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x), x)


def transformer(batch: int) -> Model:
    return Transformer(), torch.randn(batch, 7, 32)


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.b(y) if y.abs().sum() > 0 else y


def branch(batch: int) -> Model:
    return Branch(), torch.randn(batch, 8)


class Normalisations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(20, 16, mode="sum")
        self.linear = nn.Linear(16, 16)
        self.group, self.rms, self.layer = nn.GroupNorm(4, 16), nn.RMSNorm(16), nn.LayerNorm(16)
        self.batch, self.instance = nn.BatchNorm1d(16), nn.InstanceNorm1d(16, affine=True)
        self.circular = nn.Conv1d(16, 16, 3, padding=1, padding_mode="circular")

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.layer(self.rms(self.batch(self.group(self.linear(self.bag(tokens))))))
        y = self.instance(self.circular(x.unsqueeze(-1).repeat(1, 1, 6)))
        return torch.einsum("bct,bdt->bcd", y, y).triu().cumsum(-1)


def normalisations(batch: int) -> Model:
    return Normalisations(), torch.randint(0, 20, (batch, 5))


class Einsums(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.u, self.v = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(4, 5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        chained = torch.einsum("...i,ij,jk->...k", y, self.u, self.v)
        trace = torch.einsum("bii->b", y.unsqueeze(-1) * y.unsqueeze(-2))
        outer = torch.einsum("bi,bj->bij", y, y)
        return chained.sum(-1) + trace + outer.sum((1, 2))


def einsums(batch: int) -> Model:
    return Einsums(), torch.randn(batch, 6)


class Functional(nn.Module):
    """Grouped queries, tied weights, a residual branch, depthwise convolution; no nn.Linear."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(32, 32))
        self.kv = nn.Parameter(torch.randn(16, 32))
        self.depthwise = nn.Conv1d(32, 32, 3, padding=1, groups=32)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        q = F.linear(x, self.w).unflatten(-1, (4, 8)).transpose(1, 2)
        kv = (x @ self.kv.T).unflatten(-1, (2, 8)).transpose(1, 2)
        kv = kv.repeat_interleave(2, dim=1)
        y = F.scaled_dot_product_attention(q, kv, kv, is_causal=True)
        return F.linear(y.transpose(1, 2).flatten(2), self.w)


def functional(batch: int) -> Model:
    return Functional(), torch.randn(batch, 5, 32)


MODELS = (
    transposed, volumes, lstm, gru, rnn, cells, experts, switch, transformer, branch,
    normalisations, einsums, functional,
)  # fmt: skip
