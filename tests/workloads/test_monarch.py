"""Monarch matrices: factors against their definition, and the products of a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import Gemm, Trace  # noqa: E402
from tests.workloads.autograd_recorder import forward_and_backward, product  # noqa: E402
from tests.workloads.conftest import Writer  # noqa: E402
from workloads.extract import extract  # noqa: E402
from workloads.pruning.monarch import Monarch  # noqa: E402
from workloads.pytorch.monarch_layer import MonarchLinear, project  # noqa: E402

SIZES = [(16, 16, 4), (32, 16, 4), (16, 48, 2), (64, 64, 4), (9, 18, 3)]


def drawn(outputs: int, inputs: int, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(outputs, inputs, generator=generator)


def matrix_of(right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """P2 L P1 R with every factor written out as a matrix."""
    blocks, middle, inputs = right.shape
    outputs = left.shape[1]
    r = np.zeros((blocks * middle, blocks * inputs))
    big = np.zeros((blocks * outputs, blocks * middle))
    deal = np.zeros((blocks * middle, blocks * middle))
    spread = np.zeros((blocks * outputs, blocks * outputs))
    for k in range(blocks):
        r[k * middle : (k + 1) * middle, k * inputs : (k + 1) * inputs] = right[k]
        big[k * outputs : (k + 1) * outputs, k * middle : (k + 1) * middle] = left[k]
        for value in range(middle):  # value s B + l of block k is value s of part k of block l
            s, target = divmod(value, blocks)
            deal[target * middle + k * (middle // blocks) + s, k * middle + value] = 1
        for s in range(outputs):
            spread[s * blocks + k, k * outputs + s] = 1
    return spread @ big @ deal @ r


@pytest.mark.parametrize(("outputs", "inputs", "blocks"), SIZES)
def test_the_layer_is_the_product_of_its_factors(outputs: int, inputs: int, blocks: int) -> None:
    shape = Monarch(blocks)
    assert shape.misfit(outputs, inputs) is None or shape.macs(outputs, inputs) == outputs * inputs
    right, left = (
        drawn(a * b, c, 1).reshape(a, b, c) for a, b, c in shape.factors(outputs, inputs)
    )
    bias = torch.nn.Parameter(drawn(1, outputs)[0])
    layer = MonarchLinear(right, left, bias)
    x = drawn(6, inputs, 2).reshape(2, 3, inputs)
    with torch.no_grad():
        y = layer(x).numpy()
    expected = x.numpy() @ matrix_of(right.numpy(), left.numpy()).T + bias.detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("outputs", "inputs", "blocks"), SIZES)
def test_projection_is_the_nearest_of_its_kind(outputs: int, inputs: int, blocks: int) -> None:
    weight = drawn(outputs, inputs)
    right, left = project(weight, Monarch(blocks))
    found = matrix_of(right.numpy(), left.numpy())
    rank = min(outputs, inputs) // blocks**2
    tail = 0.0
    for l in range(blocks):  # noqa: E741 - as the formula names it
        for k in range(blocks):
            wide = inputs // blocks
            tile = weight.numpy()[l::blocks, k * wide : (k + 1) * wide]
            tail += float((np.linalg.svd(tile, compute_uv=False)[rank:] ** 2).sum())
    error = float(((found - weight.numpy()) ** 2).sum())
    assert error == pytest.approx(tail, rel=1e-4, abs=1e-8)  # the least there is (Eckart, Young)


def test_a_monarch_matrix_is_its_own_projection() -> None:
    right, left = (drawn(a * b, c, 3).reshape(a, b, c) for a, b, c in Monarch(4).factors(64, 32))
    weight = torch.from_numpy(matrix_of(right.numpy(), left.numpy())).float()
    again = matrix_of(*(factor.numpy() for factor in project(weight, Monarch(4))))
    np.testing.assert_allclose(again, weight.numpy(), rtol=1e-3, atol=1e-4)


MODEL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(32, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.narrow = nn.Linear(32, 24, bias=False)
        self.head = nn.Linear(32, 96, bias=False)

    def forward(self, x):
        x = self.encoder(self.stem(x))
        return self.head(x), self.narrow(x)

def make(batch):
    return Net(), torch.randn(batch, 5, 32)
"""


def gemms(trace: Trace, *phases: str) -> list[Gemm]:
    return [op for op in trace.operators if isinstance(op, Gemm) and op.phase in phases]


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize("lazy", [False, True])
def test_layers_become_two_products_and_the_rest_is_named(user_module: Writer, lazy: bool) -> None:
    source = f"{user_module(MODEL)}:make"
    dense = extract(source, prune="none", phase="inference", batch=2, lazy=lazy)
    trace = extract(source, prune="monarch:4", phase="inference", batch=2, lazy=lazy)
    said = trace.manifest.provenance
    assert (said["prune"], said["notes"]) == ("monarch:4", [])
    assert said["left_dense"] == {
        "stem": "first layer",
        "narrow": "24 values between the factors, not a multiple of 16",
        **{f"encoder.layers.{i}.self_attn.in_proj": "is no nn.Linear module" for i in (0, 1)},
        **{f"encoder.layers.{i}.self_attn.out_proj": "is no nn.Linear module" for i in (0, 1)},
    }
    layers = {op.layer: (op.m, op.n, op.k, op.groups) for op in gemms(trace, "inference")}
    assert layers["head.right"] == (10, 8, 8, 4)
    assert layers["head.left"] == (10, 24, 8, 4)
    saved = 0
    for layer, numbers in said["monarch"].items():
        outputs, inputs = {"linear1": (64, 32), "linear2": (32, 64), "head": (96, 32)}[
            layer.rpartition(".")[2]
        ]
        assert numbers["macs_dense"] == 10 * outputs * inputs
        assert numbers["macs"] == 10 * min(outputs, inputs) * (outputs + inputs) // 4
        assert ("relative_error" in numbers) != lazy
        saved += numbers["macs_dense"] - numbers["macs"]
    assert len(said["monarch"]) == 5
    before, after = (sum(op.macs_dense for op in gemms(t, "inference")) for t in (dense, trace))
    assert before - after == saved


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_products_are_those_that_torch_runs(user_module: Writer) -> None:
    from workloads.pytorch.capture import capture
    from workloads.pytorch.lower import lower
    from workloads.pytorch.monarch_layer import replace_linears
    from workloads.pytorch.source import load_network

    source = f"{user_module(MODEL)}:make"
    trace = extract(source, prune="monarch:4", batch=2)
    network = load_network(source, 2, lambda _message: None)
    replace_linears(network, lower(source, capture(network, True), False).graph, Monarch(4))
    x = network.args[0]
    forward, backward = forward_and_backward(lambda: network.module.train()(x)[0])
    counted = {phase: [product(op.m, op.n, op.k, op.groups) for op in gemms(trace, *phase)]
               for phase in (("FF",), ("BP", "WU"))}  # fmt: skip
    assert sorted(counted["FF",]) == sorted(forward.elements())
    assert sorted(counted["BP", "WU"]) == sorted(backward.elements())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.module(x)
    assert 2 * sum(op.macs_dense for op in gemms(trace, "FF")) == counter.get_total_flops()


def test_the_same_seed_gives_the_same_bytes(user_module: Writer) -> None:
    source = f"{user_module(MODEL)}:make"
    first, second = (extract(source, prune="monarch:2", batch=1).sha256() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("body", "prune", "reason"),
    [
        ("nn.Sequential(nn.Linear(32, 32))", "monarch:4", r"\(0: first layer\)"),
        ("nn.Sequential(nn.Conv1d(32, 32, 1))", "monarch:4", r"\(0: is no nn.Linear module\)"),
        ("nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 30))", "monarch:4", "1: 30 outputs, not"),
        ("nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))", "monarch:8", "32 values between"),
        ("nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32))", "monarch:1", "save no multipl"),
        ("tied()", "monarch:4", "b: shares its weight"),
    ],
)
def test_what_cannot_be_replaced_is_said(
    user_module: Writer, body: str, prune: str, reason: str
) -> None:
    name = user_module(
        "class tied(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a, self.b = nn.Linear(32, 32), nn.Linear(32, 32)\n"
        "        self.c = nn.Linear(32, 32)\n        self.c.weight = self.b.weight\n"
        "    def forward(self, x):\n        return self.c(self.b(self.a(x)))\n"
        f"def make(batch):\n    return {body}, torch.randn(batch, 32, 32)\n"
    )
    with pytest.raises(InputError, match="no layer can be replaced") as caught:
        extract(f"{name}:make", prune=prune, batch=1)
    assert caught.match(reason)
    assert "\n" not in str(caught.value)


def test_a_graph_without_modules_is_refused(user_module: Writer, tmp_path: Any) -> None:
    user_module("")
    module = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Linear(32, 32))
    program = torch.export.export(module, (torch.randn(1, 32),))
    torch.export.save(program, tmp_path / "net.pt2")
    with pytest.raises(InputError, match=r"monarch:4: replaces modules; .*net.pt2 holds a graph"):
        extract(str(tmp_path / "net.pt2"), prune="monarch:4", batch=1)
