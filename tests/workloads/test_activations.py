"""Sparsity beyond weights, as measured in a run, against the tensors of that run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import Tensor, fx, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import Dense, Gemm, Trace, Unstructured, load, save  # noqa: E402
from sparsesim.trace.masks import unpack  # noqa: E402
from tests.workloads.capture_models import MODELS, Model  # noqa: E402
from workloads.activation_recipe import (  # noqa: E402
    Alisa,
    Delta,
    Mustafar,
    Threshold,
    Zeros,
    parse_activations,
    parse_kv_cache,
)
from workloads.extract import extract  # noqa: E402
from workloads.forward_graph import ForwardGemm  # noqa: E402
from workloads.pytorch.attention_sparsity import (  # noqa: E402
    attended_tokens,
    largest_per_token,
)
from workloads.pytorch.capture import capture  # noqa: E402
from workloads.pytorch.lower import lower  # noqa: E402
from workloads.pytorch.network import Network  # noqa: E402

HERE = "tests.workloads.test_activations"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.strided = nn.Conv2d(8, 16, 3, stride=2, padding=1, dilation=2, groups=2)
        self.fc, self.out = nn.Linear(16, 24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.strided(F.relu(self.conv(x))))
        return self.out(F.relu(self.fc(x.mean((2, 3)))))


def net(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Net(), torch.zeros(batch, 3, 12, 12)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv = nn.Embedding(40, 32), nn.Linear(32, 96)
        self.out = nn.Linear(32, 32)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.qkv(self.embed(tokens)).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        return self.out(x.transpose(1, 2).flatten(2))


def attention(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Attention(), torch.zeros(batch, 16, dtype=torch.int64)


def gemm(trace: Trace, name: str) -> Gemm:
    (found,) = (op for op in trace.operators if op.name == name)
    assert isinstance(found, Gemm)
    return found


def kept(trace: Trace, name: str, side: str = "a") -> npt.NDArray[np.bool_]:
    """Mask of an operand as (groups, rows, k)."""
    product = gemm(trace, name)
    operand = product.a if side == "a" else product.b
    assert isinstance(operand.pattern, Unstructured)
    assert operand.mask is not None
    return unpack(trace.mask(operand.mask), product.k).reshape(product.groups, -1, product.k)


@pytest.fixture
def frame(tmp_path: Path) -> str:
    rng = np.random.default_rng(7)
    np.savez(tmp_path / "frame.npz", x=rng.standard_normal((2, 3, 12, 12)).astype(np.float32))
    return str(tmp_path / "frame.npz")


class _Products(fx.Interpreter):
    """Compares the operands of every product with what its node computes."""

    def __init__(self, graph: fx.Graph, origins: dict[str, Any], steps: dict[str, Any]) -> None:
        super().__init__(fx.GraphModule(nn.Module(), graph))
        self.origins = {origin.node.name: (name, origin) for name, origin in origins.items()}
        self.steps = steps
        self.compared = 0

    def run_node(self, n: fx.Node) -> Any:
        out = super().run_node(n)
        if n.name in self.origins:
            name, origin = self.origins[n.name]
            step = self.steps[name]
            left = next(node for node in self.env if node.name == origin.left.name)
            assert origin.rows(self.env[left]).shape == (step.groups * step.m, step.k)
            if step.weight is not None and step.output.shape == tuple(out.shape):
                a = origin.rows(self.env[left]).reshape(step.groups, step.m, step.k)
                weights = torch.from_numpy(step.weight.values())
                product = a @ weights.reshape(step.groups, step.n, step.k).transpose(1, 2)
                # The same numbers, in whatever order the output has them.
                ours, theirs = (part.flatten().sort().values for part in (product, out))
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
                self.compared += 1
        return out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model",
    [model for model in MODELS if model.__name__ != "volumes"],  # 3-D convolutions: not measured
    ids=lambda model: model.__name__,
)
def test_measured_operands_multiply_to_the_outputs(model: Callable[[int], Model]) -> None:
    torch.manual_seed(1)
    module, x = model(3)
    for name, parameter in module.named_parameters():
        if "bias" in name:
            parameter.data.zero_()
    captured = capture(Network("here", module, (x,)), training=False)
    lowered = lower("here", captured, allow_unknown=False)
    steps = {step.name: step for step in lowered.graph.steps if isinstance(step, ForwardGemm)}
    runner = _Products(captured.graph, lowered.products, steps)
    values = []
    for node in captured.graph.nodes:
        if node.op == "placeholder":
            known = node.name in captured.parameters
            buffer = node.name in captured.buffers
            values.append(
                captured.parameter(node.name) if known
                else captured.buffer(node.name) if buffer
                else captured.constants.get(node.name, x)
            )  # fmt: skip
    with torch.no_grad():
        runner.run(*values)
    assert runner.compared >= 1


def test_zeros_are_those_of_the_run(frame: str, tmp_path: Path) -> None:
    trace = extract(f"{HERE}:net", phase="inference", batch=2, activations="zeros",
                    inputs=[frame])  # fmt: skip
    torch.manual_seed(0)
    module, _ = net()
    seen: dict[str, Tensor] = {}
    for name, child in module.named_children():
        child.register_forward_pre_hook(lambda _m, args, name=name: seen.update({name: args[0]}))
    module.eval()(torch.from_numpy(np.load(frame)["x"]))
    np.testing.assert_array_equal(kept(trace, "out")[0], (seen["out"] != 0).numpy())
    assert bool((seen["fc"] != 0).all())
    assert gemm(trace, "fc").a.pattern == Dense()
    strided = gemm(trace, "strided")
    # F.unfold knows one group and puts channels before taps.
    for group in range(2):
        nonzero = (seen["strided"][:, 4 * group : 4 * group + 4] != 0).float()
        columns = F.unfold(nonzero, 3, dilation=2, padding=1, stride=2)
        expected = columns.reshape(2, 4, 9, -1).permute(0, 3, 2, 1).reshape(strided.m, strided.k)
        np.testing.assert_array_equal(kept(trace, "strided")[group], expected.bool().numpy())
    words = trace.manifest.provenance["measured"]["out"]
    assert words.startswith(f"{1 - kept(trace, 'out').mean():.1%} zeros, ")
    assert trace.manifest.provenance["inputs"] == "frame.npz"
    save(trace, tmp_path / "a.trace")
    assert load(tmp_path / "a.trace").sha256() == trace.sha256()


def test_training_reads_the_same_zeros_for_the_weight_gradient(frame: str) -> None:
    trace = extract(f"{HERE}:net", batch=2, activations="zeros", inputs=[frame])
    for name in ("strided", "out"):
        forward, gradient = kept(trace, f"{name}.FF"), kept(trace, f"{name}.WU")
        np.testing.assert_array_equal(gradient, forward.transpose(0, 2, 1))


def test_a_threshold_removes_its_fraction_of_every_input(frame: str) -> None:
    arguments: dict[str, Any] = {"phase": "inference", "batch": 2, "inputs": [frame]}
    trace = extract(f"{HERE}:attention", phase="inference", batch=2, activations="threshold:0.5")
    assert kept(trace, "out").mean() == 0.5
    assert kept(trace, "qkv").mean() == 0.5
    channels = extract(f"{HERE}:attention", phase="inference", batch=2, activations="channels:0.25")
    np.testing.assert_array_equal(kept(channels, "out")[0].mean(axis=0), 0.75)
    # Zeros that are there already count: nothing of the kept is smaller than what is removed.
    relu = extract(f"{HERE}:net", activations="threshold:0.3", **arguments)
    zeros = extract(f"{HERE}:net", activations="zeros", **arguments)
    assert kept(relu, "out").mean() <= kept(zeros, "out").mean()
    assert (kept(zeros, "conv") | ~kept(relu, "conv")).all()  # the first layer is left alone


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(16, 16, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return self.c(F.relu(y + self.b(y)))


def residual(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Residual(), torch.zeros(batch, 16)


def test_a_residual_branch_sees_the_whole_tensor(tmp_path: Path) -> None:
    x = np.random.default_rng(3).standard_normal((2, 16)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    trace = extract(f"{HERE}:residual", phase="inference", batch=2, activations="threshold:0.5",
                    inputs=[str(tmp_path / "x.npz")])  # fmt: skip
    torch.manual_seed(0)
    module, _ = residual()
    y = module.a(torch.from_numpy(x))
    limit = y.abs().flatten().sort().values[15]
    np.testing.assert_array_equal(kept(trace, "b")[0], (y.abs() > limit).numpy())
    z = F.relu(y + module.b(torch.where(y.abs() > limit, y, 0.0)))
    largest = z.flatten().sort().values[15]
    np.testing.assert_array_equal(kept(trace, "c")[0], (z > largest).detach().numpy())


def test_one_mask_serves_all_that_read_the_same(tmp_path: Path) -> None:
    x = np.maximum(np.random.default_rng(3).standard_normal((2, 16)), 0).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    trace = extract(f"{HERE}:twice", phase="inference", batch=2, activations="zeros",
                    inputs=[str(tmp_path / "x.npz")])  # fmt: skip
    assert gemm(trace, "0").a.mask == gemm(trace, "1").a.mask
    assert len(trace.bits) == 1


class Twice(nn.ModuleList):
    def forward(self, x: Tensor) -> Tensor:
        return self[0](x) + self[1](x)


def twice(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Twice([nn.Linear(16, 16), nn.Linear(16, 16)]), torch.zeros(batch, 16)


def test_the_delta_of_two_frames(tmp_path: Path, frame: str) -> None:
    x = np.load(frame)["x"]
    moved = x.copy()
    moved[:, :, :4, :4] += 1.0
    np.savez(tmp_path / "next.npz", x=moved)
    arguments: dict[str, Any] = {"phase": "inference", "batch": 2, "activations": "delta:8"}
    trace = extract(f"{HERE}:net", inputs=[frame, str(tmp_path / "next.npz")], **arguments)
    changed = kept(trace, "conv")[0].reshape(2, 12, 12, 9, 3)
    assert changed[:, :3, :3, 4].all()
    assert not changed[:, 5:, :].any()
    assert not changed[:, :, 5:].any()
    still = extract(f"{HERE}:net", inputs=[frame, frame], **arguments)
    assert not kept(still, "conv").any()
    coarse = extract(f"{HERE}:net", inputs=[frame, str(tmp_path / "next.npz")],
                     **{**arguments, "activations": "delta:3"})  # fmt: skip
    assert kept(coarse, "strided").sum() < kept(trace, "strided").sum()


def test_mustafar_prunes_each_token_and_spares_the_recent() -> None:
    trace = extract(f"{HERE}:attention", phase="inference", batch=2, kv_cache="mustafar:0.75:4")
    keys = kept(trace, "attention.scores", "b")  # groups, tokens, width
    values = kept(trace, "attention.values", "b")  # groups, width, tokens
    assert keys.shape == (8, 16, 8)
    assert values.shape == (8, 8, 16)
    np.testing.assert_array_equal(keys[:, :12].sum(axis=2), 2)
    np.testing.assert_array_equal(values[:, :, :12].sum(axis=1), 2)
    assert keys[:, 12:].all()
    assert values[:, :, 12:].all()
    cache = torch.tensor([[[1.0, -3.0, 2.0, 0.5]]])
    assert largest_per_token(cache, Mustafar(0.5, 0)).tolist() == [[[False, True, True, False]]]


def test_alisa_keeps_the_recent_and_the_attended() -> None:
    trace = extract(f"{HERE}:attention", phase="inference", batch=2, kv_cache="alisa:0.25")
    rows = kept(trace, "attention.values")  # groups, queries, tokens
    np.testing.assert_array_equal(rows[:, 15].sum(axis=1), 4)
    assert not np.triu(rows, 1).any()  # causal
    assert rows[:, np.arange(16), np.arange(16)].all()  # a token attends to itself
    # The first token gets all the attention of the early queries: it stays.
    weights = torch.full((1, 8, 8), 1e-3).tril()
    weights[:, :, 0] += 1.0
    chosen = attended_tokens(weights, Alisa(0.5))[0]
    assert chosen[7].tolist() == [True, *[False] * 5, True, True] or chosen[7, 0]
    assert int(chosen[7].sum()) == 4


def test_recipes() -> None:
    assert parse_activations("zeros") == Zeros()
    assert parse_activations("threshold:0.5") == Threshold(0.5)
    assert parse_activations("channels:0.4") == Threshold(0.4, per_channel=True)
    assert parse_activations("delta:8") == Delta(8)
    assert parse_kv_cache("mustafar:0.7") == Mustafar(0.7, 32)
    assert parse_kv_cache("mustafar:0.7:16") == Mustafar(0.7, 16)
    assert parse_kv_cache("alisa:0.2") == Alisa(0.2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"activations": "zero"}, "--activations 'zero': unknown; did you mean 'zeros'"),
        ({"activations": "threshold:1.5"}, "P is a fraction; needs 0 < P < 1"),
        ({"activations": "threshold:x"}, "P is a fraction"),
        ({"activations": "delta:1"}, "BITS must be from 2 to 16"),
        ({"activations": "delta:²"}, "BITS must be from 2 to 16"),
        ({"kv_cache": "mustafar:0.5:²"}, "WINDOW must be a whole number of tokens"),
        ({"activations": "delta:8"}, r"give --inputs twice \(got 1\)"),
        ({"kv_cache": "alisa"}, "--kv-cache 'alisa': unknown"),
        ({"kv_cache": "mustafar:0.5:x"}, "WINDOW must be a whole number"),
        ({"kv_cache": "alisa:0.5"}, "the network has no attention"),
        ({"activations": "threshold:0.5", "phase": "training"}, "add --phase inference"),
        ({"activations": "zeros", "lazy": True}, "a model without values cannot run"),
        ({"inputs": ["random"]}, "give --activations or --kv-cache too"),
        ({"activations": "zeros", "inputs": ["absent.npz"]}, "absent.npz: cannot be read"),
        ({"activations": "zeros", "inputs": ["a.txt"]}, "must be random, .npz"),
    ],
)
def test_refusals(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        extract(f"{HERE}:net", **{"phase": "inference", "batch": 2, **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x": np.zeros((1, 3, 12, 12), np.float32)}, r"x: shape \[1, 3, 12, 12\], .* needs \[2,"),
        ({"x": np.zeros((2, 3, 12, 12), np.int64)}, "x: is torch.int64, the network needs"),
        ({"x": np.full((2, 3, 12, 12), np.nan, np.float32)}, "x: holds NaN"),
        ({"y": np.zeros(1), "z": np.zeros(1)}, r"no array for input 'x' \(holds y, z\)"),
        ({"x": np.array([{}], dtype=object)}, "not an .npz of numbers"),
    ],
)
def test_inputs_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], match: str) -> None:
    np.savez(tmp_path / "in.npz", **arrays)
    with pytest.raises(InputError, match=match):
        extract(f"{HERE}:net", phase="inference", batch=2, activations="zeros",
                inputs=[str(tmp_path / "in.npz")])  # fmt: skip


class Written(Attention):
    """The same attention as two products with a softmax between them, without a causal mask."""

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.qkv(self.embed(tokens)).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4)
        scores = (parts[0] @ parts[1].transpose(-1, -2)) / 8**0.5
        x = torch.softmax(scores + 0.0, dim=-1) @ parts[2]
        return self.out(x.transpose(1, 2).flatten(2))


class Fused(Attention):
    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.qkv(self.embed(tokens)).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self.out(x.transpose(1, 2).flatten(2))


def written(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Written(), torch.zeros(batch, 16, dtype=torch.int64)


def fused(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return Fused(), torch.zeros(batch, 16, dtype=torch.int64)


@pytest.mark.parametrize("recipe", ["mustafar:0.5:2", "alisa:0.5"])
def test_attention_that_is_written_out_is_pruned_alike(recipe: str) -> None:
    arguments: dict[str, Any] = {"phase": "inference", "batch": 2, "kv_cache": recipe}
    by_hand = extract(f"{HERE}:written", **arguments)
    by_torch = extract(f"{HERE}:fused", **arguments)
    sides = ["b"] if recipe.startswith("mustafar") else ["a"]
    for side in sides:
        np.testing.assert_array_equal(
            kept(by_hand, "matmul@2", side), kept(by_torch, "attention.values", side)
        )
    if recipe.startswith("mustafar"):
        np.testing.assert_array_equal(
            kept(by_hand, "matmul", "b"), kept(by_torch, "attention.scores", "b")
        )


def test_a_step_against_a_cache() -> None:
    """One query: its own attention says which of the cached tokens matter."""
    trace = extract(
        "gpt2", phase="inference", batch=1, kv_cache="alisa:0.25",
        parameters={"mode": "decode", "length": 32, "layers": 1, "width": 32, "heads": 2,
                    "mlp": 64, "vocabulary": 50},
    )  # fmt: skip
    names = [op.name for op in trace.operators if isinstance(op, Gemm) and op.a.mask is not None]
    (values,) = names
    rows = kept(trace, values)
    assert rows.shape == (2, 1, 32)
    np.testing.assert_array_equal(rows.sum(axis=2), 8)
    assert rows[:, :, -4:].all()
    np.testing.assert_array_equal(kept(trace, values, "b").any(axis=1), rows[:, 0])
