"""RNN, GRU and LSTM nodes of ONNX: values against references, products of a trace."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import helper, save  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import Gemm  # noqa: E402
from tests.workloads import capture_models  # noqa: E402
from tests.workloads.onnx_models import model_of  # noqa: E402
from workloads.extract import extract  # noqa: E402
from workloads.onnx.source import read_onnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

TIME, BATCH, INPUTS, HIDDEN = 4, 3, 8, 16
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def write(
    path: Path, kind: str, states: bool = False, peepholes: bool = False, **options: Any
) -> None:
    """A model of one recurrent node with all its optional inputs that are asked for."""
    rng = np.random.default_rng(0)
    directions = 2 if options.get("direction") == "bidirectional" else 1
    batch_first = options.get("layout", 0)

    def drawn(*shape: int) -> np.ndarray:
        return (0.5 * rng.standard_normal(shape)).astype(np.float32)

    rows = GATES[kind] * HIDDEN
    weights = {
        "w": drawn(directions, rows, INPUTS),
        "r": drawn(directions, rows, HIDDEN),
        "b": drawn(directions, 2 * rows),
    }
    inputs = ["x", "w", "r", "b", ""]
    if states:
        shape = (BATCH, directions, HIDDEN) if batch_first else (directions, BATCH, HIDDEN)
        for name in ("h", "c")[: 2 if kind == "LSTM" else 1]:
            weights[name] = drawn(*shape)
            inputs.append(name)
    if peepholes:
        inputs += [""] * (7 - len(inputs)) + ["p"]
        weights["p"] = drawn(directions, 3 * HIDDEN)
    node = helper.make_node(kind, inputs, ["y", "", ""][: 2 + (kind == "LSTM")], "/cell/" + kind,
                            hidden_size=HIDDEN, **options)  # fmt: skip
    x = [BATCH, TIME, INPUTS] if batch_first else [TIME, BATCH, INPUTS]
    y = [BATCH, TIME, directions, HIDDEN] if batch_first else [TIME, directions, BATCH, HIDDEN]
    save(model_of([node], weights, {"x": x}, ("y", y)), str(path))


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("RNN", {}),
        ("GRU", {}),
        ("GRU", {"linear_before_reset": 1}),
        ("LSTM", {}),
        ("LSTM", {"peepholes": True}),
    ],
)
def test_values_are_those_of_the_reference(
    tmp_path: Path, kind: str, states: bool, options: dict[str, Any]
) -> None:
    from onnx.reference import ReferenceEvaluator

    path = tmp_path / "net.onnx"
    write(path, kind, states, **options)
    x = torch.randn(TIME, BATCH, INPUTS, generator=torch.Generator().manual_seed(0))
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x.numpy()})
    found = read_onnx(path, BATCH).module(x)[0].detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(GATES))
def test_products_of_each_step(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.onnx"
    write(path, kind, direction="bidirectional")
    trace = extract(str(path), phase="inference", batch=BATCH)
    rows = GATES[kind] * HIDDEN
    expected = Counter({("weight_ih", TIME * BATCH, rows, INPUTS): 2})
    if kind == "GRU":  # the candidate reads the hidden state after its reset
        expected["weight_hh", BATCH, 2 * HIDDEN, HIDDEN] = 2 * TIME
        expected["weight_hh", BATCH, HIDDEN, HIDDEN] = 2 * TIME
    else:
        expected["weight_hh", BATCH, rows, HIDDEN] = 2 * TIME
    found = Counter(
        ("weight_ih" if op.k == INPUTS else "weight_hh", op.m, op.n, op.k)
        for op in trace.operators
        if isinstance(op, Gemm)
    )
    assert found == expected


def test_pruning_and_training_of_a_recurrent_node(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write(path, "LSTM")
    trace = extract(str(path), prune="nm:2:8", batch=BATCH)
    recurrent = [
        op for op in trace.operators if isinstance(op, Gemm) and op.b.tensor.startswith("r")
    ]
    assert {str(op.b.pattern) for op in recurrent if op.phase == "FF"} == {"2:8@k"}
    assert len({op.b.mask for op in recurrent if op.phase == "FF"}) == 1  # one weight, four steps
    steps = Counter(op.phase for op in recurrent)
    assert steps["FF"] == TIME


@pytest.mark.parametrize("model", [capture_models.lstm, capture_models.gru, capture_models.rnn])
def test_what_torch_exports_comes_back(tmp_path: Path, model: Any) -> None:
    torch.manual_seed(0)
    module, x = model(BATCH)
    path = tmp_path / "net.onnx"
    torch.onnx.export(module.eval(), (x,), str(path), dynamo=False, opset_version=17)
    network = read_onnx(path, BATCH)
    torch.testing.assert_close(network.module(x)[0], module(x), rtol=1e-4, atol=1e-5)
    trace = extract(str(path), phase="inference", batch=BATCH)
    direct = extract(f"{model.__module__}:{model.__name__}", phase="inference", batch=BATCH)
    sizes = [
        Counter((op.m, op.n, op.k) for op in one.operators if isinstance(op, Gemm))
        for one in (trace, direct)
    ]
    assert sizes[0] == sizes[1]


def test_batch_first_is_the_transpose(tmp_path: Path) -> None:
    found = []
    for layout in (0, 1):
        path = tmp_path / f"net{layout}.onnx"
        write(path, "LSTM", layout=layout)
        x = torch.arange(TIME * BATCH * INPUTS).reshape(TIME, BATCH, INPUTS) / 100
        y = read_onnx(path, BATCH).module(x.transpose(0, 1) if layout else x)[0]
        found.append(y.permute(1, 2, 0, 3) if layout else y)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("LSTM", {"activations": ["Sigmoid", "Tanh", "Elu"]}, "activation 'Elu' is not supported"),
        ("GRU", {"activations": ["Sigmoid"]}, r"number of activations \(1\)"),
        ("RNN", {"direction": "sideways"}, "sideways"),
    ],
)
def test_what_is_not_understood_is_named(
    tmp_path: Path, kind: str, options: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "net.onnx"
    write(path, kind, **options)
    with pytest.raises(InputError, match=reason) as caught:
        extract(str(path), batch=BATCH)
    assert "\n" not in str(caught.value)
