"""The digits transformer is trained when it is extracted, with the masks of its method."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sparsesim.trace import NM  # noqa: E402
from workloads.catalog import digits_vit  # noqa: E402
from workloads.extract import extract  # noqa: E402


def test_it_is_trained_and_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits_vit, "EPOCHS", 1)
    trace = extract("digits_vit", prune="nm:2:8", method="bdwp", batch=4)
    provenance = trace.manifest.provenance
    assert provenance["weights"] == "trained here (bdwp 2:8, seed 0)"
    assert provenance["training"]["optimizer"] == "adamw"
    assert set(provenance["left_dense"]) == {"patch_embed", "head"}
    products = {op.name: op for op in trace.operators if op.kind == "gemm"}
    assert products["blocks.0.attn.qkv.FF"].b.pattern == NM(n=2, m=8)
    assert products["blocks.0.attn.qkv.BP"].b.pattern == NM(n=2, m=8)
    # Scores and values have no weights to prune.
    assert sum(op.b.mask is None for op in products.values() if op.phase == "FF") == 5


@pytest.mark.slow
def test_it_learns() -> None:
    accuracy = extract("digits_vit", prune="nm:2:8", method="bdwp").manifest.provenance["accuracy"]
    assert accuracy["dense"] > 0.93
    assert accuracy["bdwp 2:8"] > 0.9
