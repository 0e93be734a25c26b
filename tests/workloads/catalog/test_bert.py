"""BERT: padding, buckets of lengths, shared blocks, and torch's own encoder as reference."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from sparsesim.trace import Gemm, Trace  # noqa: E402
from workloads.catalog import load_entry  # noqa: E402
from workloads.extract import extract  # noqa: E402

SMALL: dict[str, Any] = {"vocabulary": 60, "width": 32, "embedding": 32, "layers": 2, "heads": 4}
SMALL |= {"mlp": 64, "positions": 32, "length": 16}


def small(**values: Any) -> Any:
    torch.manual_seed(4)
    module, arguments = load_entry("bert_base").example("bert_base", 5, {**SMALL, **values})
    return module.eval(), arguments


def macs(trace: Trace) -> int:
    return sum(op.macs_dense for op in trace.operators if isinstance(op, Gemm))


def test_a_layer_equals_torchs_encoder_layer() -> None:
    module, _ = small(layers=1)
    ours = module.encoder.layer[0]
    theirs = torch.nn.TransformerEncoderLayer(
        32, 4, 64, activation="gelu", layer_norm_eps=1e-12, batch_first=True
    ).eval()
    parts = [getattr(ours.attention["self"], name) for name in ("query", "key", "value")]
    state = {
        "self_attn.in_proj_weight": torch.cat([part.weight for part in parts]),
        "self_attn.in_proj_bias": torch.cat([part.bias for part in parts]),
    }
    for target, source in (
        ("self_attn.out_proj", ours.attention["output"].dense),
        ("linear1", ours.intermediate["dense"]),
        ("linear2", ours.output.dense),
        ("norm1", ours.attention["output"].LayerNorm),
        ("norm2", ours.output.LayerNorm),
    ):
        state |= {f"{target}.weight": source.weight, f"{target}.bias": source.bias}
    theirs.load_state_dict(state)
    x = torch.randn(2, 7, 32)
    torch.testing.assert_close(ours(x, None), theirs(x), atol=1e-5, rtol=1e-4)


def test_padding_does_not_change_the_tokens_before_it() -> None:
    module, _ = small(head="none")
    tokens = torch.randint(0, 60, (1, 16))
    segments, mask = torch.zeros_like(tokens), torch.ones(1, 1, 1, 16, dtype=torch.bool)
    mask[..., 10:] = False
    with torch.no_grad():
        padded = module(tokens, segments, mask)[:, :10]
        alone = module(tokens[:, :10], segments[:, :10])
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=1e-4)


def test_buckets_save_the_padding() -> None:
    options: dict[str, Any] = {"prune": "none", "phase": "inference", "batch": 6}
    padded = extract("bert_base", parameters=SMALL, **options)
    bucketed = extract("bert_base", parameters={**SMALL, "buckets": [4, 8, 16]}, **options)
    each = [
        macs(extract("bert_base", parameters={**SMALL, "length": n}, **{**options, "batch": 2}))
        for n in (4, 8, 16)
    ]
    assert macs(bucketed) == sum(each) < macs(padded)
    assert bucketed.manifest.provenance["batch"] == 6
    # One network: the weights are there once, and every bucket reads them.
    assert bucketed.manifest.provenance["parameters"] == padded.manifest.provenance["parameters"]
    query = "encoder.layer.0.attention.self.query"
    uses = [op for op in bucketed.operators if op.layer == f"bert.{query}"]
    assert [op.m for op in uses if isinstance(op, Gemm)] == [8, 16, 32]
    assert len({op.b.tensor for op in uses if isinstance(op, Gemm)}) == 1


def test_samples_that_do_not_divide_go_to_the_first_buckets() -> None:
    _, (tokens, segments) = small(buckets=[8, 16, 32])
    assert [tuple(part.shape) for part in tokens] == [(2, 8), (2, 16), (1, 32)]
    assert [part.shape for part in tokens] == [part.shape for part in segments]


def test_albert_uses_one_block_and_sums_its_gradients() -> None:
    values = {**SMALL, "embedding": 8, "layers": 3}
    trace = extract("albert_base", prune="nm:2:4", batch=2, parameters=values)
    query = "encoder.layer.0.attention.self.query"
    forward = [op for op in trace.operators if op.layer == query and op.phase == "FF"]
    assert [op.name for op in forward] == [f"{query}.FF", f"{query}@2.FF", f"{query}@3.FF"]
    masks = {op.b.mask for op in forward if isinstance(op, Gemm)}
    assert len(masks) == 1
    names = {op.name for op in trace.operators}
    assert f"{query}.accumulate.WU" in names
    assert sum(name.startswith(f"{query}.update") for name in names) == 1
