"""Decoders: prefill and decode compute the same, and the cache is seen in the trace."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from sparsesim.trace import NM, Gemm, Trace  # noqa: E402
from workloads.catalog import load_entry  # noqa: E402
from workloads.extract import extract  # noqa: E402

SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {"vocabulary": 50, "width": 32, "layers": 2, "heads": 4, "mlp": 64, "positions": 16},
    "llama2_7b": {"vocabulary": 50, "width": 32, "layers": 2, "heads": 4, "mlp": 64, "kv_heads": 2},
}
#: Keys and values of one token: heads that are stored, times their width.
CACHED = {"gpt2": 32, "llama2_7b": 16}


def network(name: str, mode: str, length: int) -> Any:
    torch.manual_seed(5)
    values = {**SMALL[name], "mode": mode, "length": length}
    module, _ = load_entry(name).example(name, 3, values)
    return module.eval()


@pytest.mark.parametrize("name", list(SMALL))
def test_decoding_token_by_token_gives_what_the_whole_sequence_gives(name: str) -> None:
    tokens = torch.randint(0, 50, (3, 9), generator=torch.Generator().manual_seed(1))
    prefill, decode = network(name, "prefill", 6), network(name, "decode", 6)
    decode.load_state_dict(prefill.state_dict())
    whole = network(name, "sequence", 9)
    whole.load_state_dict(prefill.state_dict())
    with torch.no_grad():
        expected = whole(tokens).unflatten(0, (3, 9))
        logits, cache = prefill(tokens[:, :6])
        torch.testing.assert_close(logits, expected[:, 5])
        for position in range(6, 9):
            keys, values = ([layer[part] for layer in cache] for part in (0, 1))
            logits, added = decode(tokens[:, position : position + 1], keys, values)
            torch.testing.assert_close(logits, expected[:, position], atol=1e-5, rtol=1e-4)
            cache = [
                tuple(torch.cat(pair, dim=2) for pair in zip(old, new, strict=True))
                for old, new in zip(cache, added, strict=True)
            ]


def traced(name: str, mode: str, length: int, **options: Any) -> Trace:
    parameters = {**SMALL[name], "mode": mode, "length": length}
    return extract(name, phase="inference", batch=3, parameters=parameters, **options)


@pytest.mark.parametrize("name", list(SMALL))
def test_decode_reads_every_cache_once_and_writes_one_token(name: str) -> None:
    length = 12
    trace = traced(name, "decode", length, prune="none")
    gemms = [op for op in trace.operators if isinstance(op, Gemm)]
    read = [gemm.b.tensor for gemm in gemms if gemm.b.tensor.startswith("input.")]
    caches = [f"input.{kind}_{layer}" for layer in range(2) for kind in ("keys", "values")]
    assert read == caches
    for tensor in caches:
        shape = trace.tensors[tensor].shape
        assert shape[0] * shape[1] * shape[2] * shape[3] == 3 * length * CACHED[name]
        assert trace.tensors[tensor].role == "activation"
    # Nothing else is as large as a cache: it is not copied.
    others = [t for t in trace.manifest.tensors if t.name not in caches and t.role != "weight"]
    largest = max(gemm.m * gemm.n * gemm.groups for gemm in gemms)
    for tensor in others:
        assert length not in tensor.shape[:-1]
        assert torch.Size(tensor.shape).numel() <= largest


@pytest.mark.parametrize("name", list(SMALL))
def test_decode_multiplies_one_row_per_sequence(name: str) -> None:
    decode, prefill = traced(name, "decode", 12, prune="none"), traced(name, "prefill", 12)

    def rows(trace: Trace, layer: str) -> int:
        return next(
            op.m for op in trace.operators if isinstance(op, Gemm) and op.layer.endswith(layer)
        )

    projection = "attn.c_proj" if name == "gpt2" else "o_proj"
    output = "wte" if name == "gpt2" else "lm_head"
    assert (rows(decode, projection), rows(prefill, projection)) == (3, 36)
    assert (rows(decode, output), rows(prefill, output)) == (3, 3)


def test_llama_holds_no_weights_and_draws_its_masks() -> None:
    trace = extract(
        "llama2_7b", prune="nm:2:8", phase="inference", batch=1, parameters={"layers": 2}
    )
    assert not trace.bits
    assert len(trace.manifest.masks) == 2 * 7 + 1
    pruned = [op for op in trace.operators if isinstance(op, Gemm) and op.b.mask is not None]
    assert {op.b.pattern for op in pruned} == {NM(n=2, m=8)}


@pytest.mark.slow
def test_the_whole_of_llama_is_traced() -> None:
    trace = extract("llama2_7b", prune="nm:2:8", phase="inference", batch=1)
    assert trace.manifest.provenance["parameters"] == 6_738_415_616
    masked = sum(mask.rows * mask.columns for mask in trace.manifest.masks)
    assert masked == 6_738_415_616 - 32000 * 4096 - 65 * 4096  # but embedding and norms
