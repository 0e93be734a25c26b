"""Multiply-accumulates of every catalog network against torch's own counter, all phases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode, conv_backward_flop  # noqa: E402

from sparsesim.trace import Gemm, Trace  # noqa: E402
from workloads.catalog import catalog_names, load_entry  # noqa: E402
from workloads.extract import extract  # noqa: E402

#: Few layers say as much as many.
SHALLOW: dict[str, list[dict[str, Any]]] = {
    **{f"resnet{depth}": [{"blocks": [1, 2, 1, 1], "image": 64}] for depth in (34, 101, 152)},
    "vit": [{"layers": 2}],
    "vit_b16": [{"layers": 2}],
    "bert_base": [{"layers": 2, "length": 96}, {"layers": 1, "buckets": [32, 64]}],
    "bert_large": [{"layers": 2, "length": 96, "head": "question_answering"}],
    "minilm": [{"layers": 2}],
    "albert_base": [{"layers": 3, "length": 64, "head": "masked_language"}],
    "gpt2": [{"layers": 2, "length": 40, "mode": mode} for mode in ("sequence", "decode")],
    "llama2_7b": [
        {"layers": 2, "length": 40, "mode": "sequence"},
        {"layers": 2, "length": 40, "mode": "prefill", "kv_heads": 8},
        {"layers": 2, "length": 40, "mode": "decode", "kv_heads": 8},
    ],
}
CASES = [(name, values) for name in catalog_names() for values in SHALLOW.get(name, [{}])]


def macs(trace: Trace, *phases: str) -> int:
    return sum(
        operator.macs_dense
        for operator in trace.operators
        if isinstance(operator, Gemm) and operator.phase in phases
    )


def convolution_backward(*arguments: Any, out_shape: Any, **_: Any) -> int:
    """torch's count, with its fault for groups mended.

    Before pytorch/pytorch PR 183405 the weight gradient of a grouped convolution was counted as
    if every input channel met every output channel.
    """
    *geometry, groups, mask = arguments
    count = conv_backward_flop.__wrapped__  # takes shapes, as this function does
    inputs = count(*geometry, groups, [mask[0], False, False], out_shape=out_shape)
    weights = count(*geometry, groups, [False, mask[1], False], out_shape=out_shape)
    return int(inputs + weights // groups)


COUNTING = {torch.ops.aten.convolution_backward: convolution_backward}


def counted_by_torch(name: str, batch: int, values: dict[str, Any]) -> tuple[int, int]:
    """FLOPs of forward and backward; attention as its products, which the counter knows."""
    with torch.device("meta"):
        module, arguments = load_entry(name).example(name, batch, values)
        module.train()
        with sdpa_kernel(SDPBackend.MATH):
            with FlopCounterMode(display=False) as forward:
                output = module(*arguments)
            output = output[0] if isinstance(output, tuple) else output
            with FlopCounterMode(display=False, custom_mapping=COUNTING) as backward:
                output.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


def compare(name: str, batch: int, values: dict[str, Any]) -> None:
    trace = extract(name, prune="none", batch=batch, parameters=values, lazy=True)
    forward, backward = counted_by_torch(name, batch, values)
    assert forward > 0
    assert 2 * macs(trace, "FF") == forward
    assert 2 * macs(trace, "BP", "WU") == backward


@pytest.mark.parametrize(("name", "values"), CASES, ids=lambda value: str(value)[:60])
def test_macs_of_all_phases_equal_what_torch_counts(name: str, values: dict[str, Any]) -> None:
    compare(name, 2, values)


SMALL_TRANSFORMERS = st.fixed_dictionaries(
    {"layers": st.integers(1, 2), "heads": st.sampled_from([1, 2, 6]), "mlp": st.integers(1, 40)}
)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from(["vit", "albert_base", "gpt2", "llama2_7b"]),
    SMALL_TRANSFORMERS,
    st.integers(1, 9),
    st.integers(1, 3),
    st.sampled_from(["sequence", "decode"]),
)
def test_macs_of_any_sizes(
    name: str, sizes: dict[str, Any], length: int, batch: int, mode: str
) -> None:
    values = {**sizes, "width": 24}
    if name == "vit":
        values |= {"image": 4 * length, "classes": 7}
    else:
        values |= {"length": length, "vocabulary": 11}
    if name in ("gpt2", "llama2_7b"):
        values["mode"] = mode
    if name == "llama2_7b":
        values["kv_heads"] = sizes["heads"]
    compare(name, batch, values)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHALLOW))
def test_full_depth_too(name: str) -> None:
    compare(name, 2, {})
