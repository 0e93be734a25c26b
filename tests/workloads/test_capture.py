"""Captured products against what PyTorch counts and what autograd really multiplies."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import networkx as nx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import Gemm, Trace  # noqa: E402
from tests.workloads import capture_models  # noqa: E402
from tests.workloads.autograd_recorder import (  # noqa: E402
    Product,
    forward_and_backward,
    product,
)
from tests.workloads.capture_models import MODELS, Model  # noqa: E402
from workloads.extract import extract  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration", "ignore:enable_nested_tensor")

BATCH = 3
HERE = "tests.workloads.capture_models"


def trace_of(model: Callable[[int], Model], phase: str = "training") -> Trace:
    return extract(f"{HERE}:{model.__name__}", batch=BATCH, phase=phase)


def gemms(trace: Trace, *phases: str) -> list[Gemm]:
    return [op for op in trace.operators if isinstance(op, Gemm) and op.phase in phases]


def products(trace: Trace, *phases: str) -> Counter[Product]:
    return Counter(product(op.m, op.n, op.k, op.groups) for op in gemms(trace, *phases))


def built(model: Callable[[int], Model]) -> Model:
    torch.manual_seed(0)
    return model(BATCH)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_products_are_those_that_autograd_runs(model: Callable[[int], Model]) -> None:
    trace = trace_of(model)
    module, x = built(model)
    forward, backward = forward_and_backward(lambda: module.train()(x))
    assert products(trace, "FF") == forward
    assert products(trace, "BP", "WU") == backward


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_forward_flops_are_those_that_torch_counts(model: Callable[[int], Model]) -> None:
    trace = trace_of(model, "inference")
    module, x = built(model)
    unfused = torch.backends.mkldnn.flags(enabled=False)
    with sdpa_kernel(SDPBackend.MATH), unfused, FlopCounterMode(display=False) as counter:
        module.eval()(x)
    counted = 2 * sum(op.macs_dense for op in gemms(trace, "inference"))
    assert counted == counter.get_total_flops()


def test_the_fused_fast_path_of_attention_hides_nothing() -> None:
    """In evaluation without gradients torch runs one opaque operator per encoder layer."""
    module, x = built(capture_models.transformer)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval().encoder(x)
    assert counter.get_total_flops() == 0  # the trap
    trace = trace_of(capture_models.transformer, "inference")
    layers = {op.layer for op in gemms(trace, "inference")}
    for name in ("self_attn.in_proj", "self_attn.out_proj", "linear1", "linear2"):
        assert f"encoder.layers.1.{name}" in layers
    assert "encoder.layers.0.self_attn.attention.scores" in layers


def test_experts_run_on_the_tokens_that_chose_them() -> None:
    messages: list[str] = []
    trace = extract(f"{HERE}:experts", batch=BATCH, on_message=messages.append)
    assert any("depend on data" in message for message in messages)
    module, x = built(capture_models.experts)
    chosen = torch.topk(module.gate(module.stem(x)), 2, -1).indices
    expected = {
        f"experts.{index}.0": int((chosen == index).sum())
        for index in range(4)
        if (chosen == index).any()
    }
    rows = {op.layer: op.m for op in gemms(trace, "FF") if op.layer.startswith("experts.")}
    assert {name: m for name, m in rows.items() if name.endswith(".0")} == expected
    assert sum(expected.values()) == 2 * BATCH
    names = {op.name for op in trace.operators}
    idle = next(index for index in range(4) if f"experts.{index}.0" not in expected)
    assert f"experts.{idle}.0.update" not in names


def test_sizes_that_depend_on_data_need_values() -> None:
    with pytest.raises(InputError, match="sizes depend on data, which a model on the meta device"):
        extract(f"{HERE}:experts", batch=BATCH, lazy=True)


def test_a_branch_on_data_is_the_one_that_was_taken() -> None:
    trace = trace_of(capture_models.branch)
    assert [op.layer for op in gemms(trace, "FF")] == ["a", "b"]
    assert trace.manifest.provenance["notes"][-1].startswith("control flow or sizes depend on data")


def test_time_steps_of_a_recurrent_layer_wait_for_each_other() -> None:
    trace = trace_of(capture_models.gru)
    graph = trace.graph()
    steps = [op for op in gemms(trace, "FF") if op.layer == "layers.weight_hh_l0"]
    assert [(op.m, op.n, op.k) for op in steps] == [(BATCH, 72, 24)] * 4
    inputs = [op for op in gemms(trace, "FF") if op.layer == "layers.weight_ih_l0"]
    assert [(op.m, op.n, op.k) for op in inputs] == [(4 * BATCH, 72, 16)]
    for before, after in itertools.pairwise(steps):
        assert before.name in nx.ancestors(graph, after.name)
        assert before.name not in nx.ancestors(graph, inputs[0].name)


def test_a_transposed_convolution_is_a_product_and_col2im() -> None:
    trace = trace_of(capture_models.transposed)
    by_name = {op.name: op for op in trace.operators}
    up = by_name["up.FF"]
    assert isinstance(up, Gemm)
    assert (up.m, up.n, up.k, up.groups) == (BATCH * 64, 4 * 16, 8, 2)
    assert by_name["up.col2im.FF"].deps == ("up.FF",)
    assert by_name["dilated.FF"].deps == ("relu@2.FF",)
    assert trace.tensors["up.col2im.out"].shape == (BATCH, 8, 16, 16)


def test_recurrent_weights_are_no_first_layer() -> None:
    """Their first step reads an initial state that no layer wrote."""
    trace = extract(f"{HERE}:gru", batch=BATCH, prune="nm:2:8", phase="inference")
    pruned = {op.layer for op in gemms(trace, "inference") if op.b.pattern.density < 1}
    assert {"layers.weight_hh_l0", "layers.weight_hh_l1"} <= pruned
