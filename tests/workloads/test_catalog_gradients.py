"""Gradient products of catalog networks against what autograd runs, all on the meta device."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from sparsesim.trace import Gemm  # noqa: E402
from tests.workloads.autograd_recorder import forward_and_backward, product  # noqa: E402
from workloads.catalog import load_entry  # noqa: E402
from workloads.extract import extract  # noqa: E402

SHORT: list[tuple[str, dict[str, Any]]] = [
    ("vgg19", {}),
    ("bert_base", {"length": 32, "layers": 2}),
    ("gpt2", {"length": 32, "layers": 2, "mode": "sequence"}),
    ("llama2_7b", {"length": 32, "layers": 2, "mode": "sequence"}),
]
LONG: list[tuple[str, dict[str, Any]]] = [
    ("resnet50", {}),
    ("mobilenet_v2", {}),
    ("vit_b16", {}),
    ("albert_base", {"length": 64}),
    ("llama2_7b", {"length": 64, "mode": "sequence"}),
]
NETWORKS = [
    *(pytest.param(*case, id=case[0]) for case in SHORT),
    *(pytest.param(*case, id=f"{case[0]} whole", marks=pytest.mark.slow) for case in LONG),
]


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize(("name", "values"), NETWORKS)
def test_products_are_those_that_autograd_runs(name: str, values: dict[str, Any]) -> None:
    trace = extract(name, batch=2, lazy=True, parameters=values)
    with torch.device("meta"):
        module, arguments = load_entry(name).example(name, 2, values)
        forward, backward = forward_and_backward(lambda: _logits(module.train()(*arguments)))
    counted: dict[bool, Counter[Any]] = {True: Counter(), False: Counter()}
    for op in trace.operators:
        if isinstance(op, Gemm):
            counted[op.phase == "FF"][product(op.m, op.n, op.k, op.groups)] += 1
    assert counted[True] == forward
    assert counted[False] == backward


def _logits(output: Any) -> Any:
    return output[0] if isinstance(output, tuple | list) else output
