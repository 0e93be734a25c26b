"""A user's own module through module:function, with the ways people write models."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import NM, Dense, Elementwise, Gemm, Reduction, Trace  # noqa: E402
from sparsesim.trace.masks import unpack  # noqa: E402
from workloads.extract import extract  # noqa: E402

Writer = Callable[[str], str]

RESIDUAL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.grouped = nn.Conv2d(16, 32, 3, stride=2, dilation=2, groups=2)
        self.w = nn.Parameter(torch.randn(24, 32))
        self.head = nn.Linear(24, 16)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)), inplace=True)
        x = x + self.depthwise(x)
        x = F.avg_pool2d(F.max_pool2d(F.gelu(self.grouped(x)), 2), 2)
        x = F.dropout(F.linear(x.mean((2, 3)), self.w), 0.1, self.training)
        return self.head(x)

def make(batch=2):
    return Net(), torch.zeros(batch, 3, 32, 32)
"""

ATTENTION = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.position = nn.Parameter(torch.zeros(1, 12, 32))
        self.block = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.mha = nn.MultiheadAttention(32, 2, batch_first=True)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = self.embed(tokens) + self.position
        x = self.block(x)
        x = self.norm(x + self.mha(x, x, x)[0])
        x = torch.einsum("bsd,ed->bse", x, self.head.weight)
        return x[:, 0]

def make(batch):
    return Net(), {"tokens": torch.zeros(batch, 12, dtype=torch.int64)}
"""

PRUNED = """
def make():
    net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    prune.l1_unstructured(net[2], "weight", 0.75)
    return net, (torch.zeros(4, 16),)
"""


def gemms(trace: Trace, *phases: str) -> list[Gemm]:
    return [op for op in trace.operators if isinstance(op, Gemm) and op.phase in phases]


def torch_macs(name: str, batch: int) -> tuple[int, int]:
    """Forward and backward MACs that torch counts, with attention unfused."""
    sys.path.insert(0, ".")
    try:
        module, inputs = importlib.import_module(name).make(batch=batch)
    finally:
        sys.path.remove(".")
    arguments = inputs if isinstance(inputs, dict) else {"x": inputs}
    with sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            out = module.train()(**arguments)
        with FlopCounterMode(display=False) as backward:
            out.sum().backward()
    return forward.get_total_flops() // 2, backward.get_total_flops() // 2


@pytest.mark.parametrize("body", [RESIDUAL, ATTENTION], ids=["convolutions", "attention"])
def test_macs_equal_what_torch_counts(user_module: Writer, body: str) -> None:
    name = user_module(body)
    trace = extract(f"{name}:make", batch=3)
    forward, backward = torch_macs(name, 3)
    assert sum(gemm.macs_dense for gemm in gemms(trace, "FF")) == forward
    # torch counts the weight gradient of a grouped convolution as if it had one group.
    excess = sum((gemm.groups - 1) * gemm.macs_dense for gemm in gemms(trace, "WU") if gemm.conv)
    assert sum(gemm.macs_dense for gemm in gemms(trace, "BP", "WU")) == backward - excess
    assert trace.manifest.provenance["batch"] == 3
    assert nx.is_directed_acyclic_graph(trace.graph())


def test_convolutions_functional_linear_and_residuals(user_module: Writer) -> None:
    trace = extract(f"{user_module(RESIDUAL)}:make", prune="nm:2:8", batch=2)
    by_name = {op.name: op for op in trace.operators}
    depthwise, grouped = by_name["depthwise.FF"], by_name["grouped.FF"]
    assert isinstance(depthwise, Gemm)
    assert isinstance(grouped, Gemm)
    assert (depthwise.groups, depthwise.n, depthwise.k) == (16, 1, 9)
    assert depthwise.b.pattern == Dense()
    assert (grouped.groups, grouped.m, grouped.n, grouped.k) == (2, 2 * 14 * 14, 16, 9 * 8)
    assert grouped.b.pattern == NM(n=2, m=8)
    # The weight is used through F.linear, so the layer is the parameter's own name.
    functional = by_name["w.FF"]
    assert isinstance(functional, Gemm)
    assert (functional.m, functional.n, functional.k) == (2, 24, 32)
    assert set(trace.manifest.provenance["left_dense"]) == {"stem", "depthwise"}
    assert {"dropout.FF", "dropout.BP", "mean.FF", "gelu.BP", "max_pool2d.BP"} <= set(by_name)
    # relu feeds the depthwise convolution and the addition.
    assert "depthwise.BP" in by_name["relu.accumulate.BP"].deps
    evaluated = extract(f"{user_module(RESIDUAL)}:make", phase="inference", batch=2)
    assert "dropout" not in {op.name for op in evaluated.operators}


def test_attention_becomes_batched_products_and_a_softmax(user_module: Writer) -> None:
    trace = extract(f"{user_module(ATTENTION)}:make", batch=2, prune="nm:2:8")
    by_name = {op.name: op for op in trace.operators}
    scores = by_name["block.self_attn.attention.scores.FF"]
    softmax = by_name["block.self_attn.attention.softmax.FF"]
    values = by_name["block.self_attn.attention.values.FF"]
    assert isinstance(scores, Gemm)
    assert isinstance(values, Gemm)
    assert isinstance(softmax, Reduction)
    assert (scores.groups, scores.m, scores.n, scores.k) == (8, 12, 12, 8)
    assert (values.groups, values.m, values.n, values.k) == (8, 12, 8, 12)
    assert softmax.elements == 8 * 12 * 12
    assert values.deps[0] == softmax.name
    assert scores.b.pattern == Dense()  # has no weights
    for part in ("scores", "values"):
        stem = f"block.self_attn.attention.{part}"
        assert isinstance(by_name[f"{stem}.BP_a"], Gemm)
        assert isinstance(by_name[f"{stem}.BP_b"], Gemm)
    # Queries, keys and values are three parts of one projection.
    projection = trace.tensors["block.self_attn.in_proj.out"]
    parts = [scores.a.tensor, scores.b.tensor, values.b.tensor]
    assert len(set(parts)) == 3
    assert all(trace.tensors[part].elements == projection.elements // 3 for part in parts)
    assert "block.self_attn.in_proj.FF" in scores.deps
    scattered = by_name["block.self_attn.in_proj.accumulate.BP"]
    assert isinstance(scattered, Elementwise)
    assert scattered.function == "scatter_gradients"
    # The first product reads embedded tokens, not the model's input: it is pruned.
    assert trace.manifest.provenance["left_dense"] == {
        "embed": "BP: 50 output channels, not a multiple of the group of 8"
    }


def test_a_tied_embedding_is_updated_once_after_both_gradients(user_module: Writer) -> None:
    trace = extract(f"{user_module(ATTENTION)}:make", batch=2)
    updates = [op for op in trace.operators if op.name.startswith("embed.update")]
    assert len(updates) == 1
    graph = trace.graph()
    gathered = [
        op
        for op in trace.operators
        if isinstance(op, Elementwise) and op.function == "embedding" and op.phase == "FF"
    ]
    assert gathered[0].elements == 2 * 12 * 32
    assert trace.tensors[gathered[0].inputs[0]].elements == 2 * 12 * 32  # rows read, not the table
    assert {"embed@2.WU", "embed.accumulate.WU"} <= nx.ancestors(graph, "embed.update")


def test_pruning_wrappers_are_seen_through_to_the_masked_weight(user_module: Writer) -> None:
    name = user_module(PRUNED)
    messages: list[str] = []
    trace = extract(f"{name}:make", prune="unstructured:0.75", seed=5, on_message=messages.append)
    assert any("takes no batch keyword" in message for message in messages)
    assert trace.manifest.provenance["batch"] == 4
    (gemm,) = (op for op in gemms(trace, "FF") if op.layer == "2")
    assert gemm.b.tensor == "2.weight_orig"
    torch.manual_seed(5)
    net, _ = sys.modules[name].make()
    kept = unpack(trace.mask("2.weight_orig@FF"), 16)
    np.testing.assert_array_equal(kept, net[2].weight_mask.numpy().astype(bool))


def test_frozen_and_shared_layers(user_module: Writer) -> None:
    name = user_module("""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(16, 16).requires_grad_(False)
        self.shared = nn.Linear(16, 16)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.shared(self.act(self.shared(self.act(self.frozen(x)))))

def make(batch):
    return Net(), torch.zeros(batch, 16)
""")
    trace = extract(f"{name}:make", prune="nm:2:8")
    names = [op.name for op in trace.operators]
    assert {"frozen.WU", "frozen.BP", "frozen.update", "shared.BP"}.isdisjoint(names)
    assert {"shared.FF", "shared@2.FF", "shared@2.BP", "shared.WU", "shared@2.WU"} <= set(names)
    assert names.count("shared.update") == 1
    (update,) = (op for op in trace.operators if op.name == "shared.update")
    assert set(update.deps) == {"shared.accumulate.WU", "shared@2.BP"}
    assert trace.manifest.provenance["left_dense"] == {"frozen": "first layer"}


def test_concatenation_hands_back_slices_and_expansion_is_summed(user_module: Writer) -> None:
    name = user_module("""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.inner = nn.Linear(8, 8)
        self.out = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), self.inner(x)], dim=1)
        return self.out(x)[:, 0] * 2.0

def make(batch):
    return Net(), torch.zeros(batch, 5, 8)
""")
    trace = extract(f"{name}:make", batch=6)
    by_name = {op.name: op for op in trace.operators}
    summed = by_name["cat.sum_gradient.WU"]
    assert isinstance(summed, Reduction)
    assert summed.elements == 6 * 8
    assert trace.tensors[summed.outputs[0]].shape == (1, 1, 8)
    weight_gradient = by_name["inner.WU"]
    assert isinstance(weight_gradient, Gemm)
    assert trace.tensors[weight_gradient.b.tensor].elements == 6 * 5 * 8
    assert "token.update" in by_name


def test_a_weight_on_the_left_and_one_dimensional_convolutions(user_module: Writer) -> None:
    name = user_module("""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(8, 16, 3, padding="same")
        self.mix = nn.Parameter(torch.randn(24, 16))

    def forward(self, x):
        return torch.matmul(self.mix, self.conv(x)).mean(-1)

def make(batch):
    return Net(), torch.zeros(batch, 8, 20)
""")
    trace = extract(f"{name}:make", batch=2, prune="nm:2:8")
    conv, mix = gemms(trace, "FF")
    assert (conv.m, conv.n, conv.k) == (40, 16, 24)
    assert (mix.m, mix.n, mix.k, mix.b.tensor) == (40, 24, 16, "mix")
    assert mix.b.pattern == NM(n=2, m=8)
    torch.manual_seed(0)
    net, _ = sys.modules[name].make(2)
    magnitude = net.mix.detach().abs().numpy().reshape(-1, 8)
    kept = unpack(trace.mask("mix@FF"), 16).reshape(-1, 8)
    np.testing.assert_array_equal(
        np.sort(magnitude[kept].reshape(-1, 2)), np.sort(magnitude)[:, -2:]
    )


UNSUPPORTED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.b(torch.erfinv(self.a(x)))

def make(batch):
    return Net(), torch.zeros(batch, 8)
"""


def test_an_unsupported_operator_is_named_and_can_be_allowed(user_module: Writer) -> None:
    name = user_module(UNSUPPORTED)
    with pytest.raises(InputError, match=r"aten\.erfinv\.default in layer .*allow-unknown"):
        extract(f"{name}:make")
    trace = extract(f"{name}:make", allow_unknown=True, batch=5)
    by_name = {op.name: op for op in trace.operators}
    unknown = by_name["erfinv.FF"]
    assert isinstance(unknown, Elementwise)
    assert unknown.function == "unknown:aten.erfinv.default"
    assert unknown.elements == 40
    assert unknown.deps == ("a.FF",)
    assert trace.tensors[unknown.outputs[0]].shape == (5, 8)
    assert by_name["a.WU"].deps[-1] == "erfinv.BP"


def test_an_overwritten_view_is_refused(user_module: Writer) -> None:
    name = user_module("""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        x = self.a(x)
        y = x.view(-1)
        x.relu_()
        return y + 1

def make(batch):
    return Net(), torch.zeros(batch, 8)
""")
    with pytest.raises(InputError, match=r"aten\.relu_\.default .*overwrites data"):
        extract(f"{name}:make")


def test_a_loss_of_its_own_is_taken_as_it_is(user_module: Writer) -> None:
    name = user_module("""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 4)

    def forward(self, x, y):
        return F.cross_entropy(self.a(x), y)

def make(batch):
    return Net(), (torch.zeros(batch, 8), torch.zeros(batch, dtype=torch.int64))
""")
    trace = extract(f"{name}:make", batch=3)
    assert trace.manifest.provenance["loss"] == "the model's own scalar output"
    functions = {op.function for op in trace.operators if isinstance(op, Elementwise | Reduction)}
    assert {"cross_entropy_loss", "cross_entropy_loss_backward"} <= functions
    assert math.prod(trace.tensors["loss.grad"].shape) == 1


def test_regions_without_gradient_and_autocast_are_part_of_the_graph(user_module: Writer) -> None:
    name = user_module("""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        y = self.a(x)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.b(F.relu(y))
        return self.c(y.float() + self.a(x)).max(dim=1)[0]

def make(batch):
    return Net(), torch.zeros(batch, 8)
""")
    trace = extract(f"{name}:make", batch=2)
    names = {op.name for op in trace.operators}
    assert {"a.FF", "b.FF", "a@2.FF", "c.FF", "max.FF", "c.BP", "a@2.WU", "a.update"} <= names
    assert {"b.WU", "b.BP", "b.update", "a.WU"}.isdisjoint(names)  # cut off by no_grad
