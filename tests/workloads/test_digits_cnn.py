"""The digits network is trained for real when it is extracted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sparsesim.trace.masks import unpack  # noqa: E402
from workloads.catalog import digits_cnn  # noqa: E402
from workloads.extract import extract  # noqa: E402
from workloads.pytorch.digits_data import digits  # noqa: E402


@pytest.fixture
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    short = dataclasses.replace(digits_cnn.SCHEDULE, epochs=1)
    monkeypatch.setattr(digits_cnn, "SCHEDULE", short)


def test_the_split_is_held_out_and_seeded() -> None:
    learning, held_out = digits(0)
    again, _ = digits(0)
    other, _ = digits(1)
    assert learning.labels.numel() + held_out.labels.numel() == 1797
    assert torch.equal(learning.images, again.images)
    assert not torch.equal(learning.images, other.images)
    assert 0.0 <= float(learning.images.min()) < float(learning.images.max()) <= 1.0


@pytest.mark.usefixtures("one_epoch")
def test_training_is_deterministic_and_gives_the_masks() -> None:
    messages: list[str] = []
    first = extract("digits_cnn", prune="nm:2:8", seed=1, on_message=messages.append)
    second = extract("digits_cnn", prune="nm:2:8", seed=1)
    assert first.sha256() == second.sha256()
    provenance = first.manifest.provenance
    assert set(provenance["accuracy"]) == {"dense", "bdwp 2:8"}
    assert provenance["weights"] == "trained here (bdwp 2:8, seed 1)"
    assert provenance["training"]["held_out_samples"] == 540
    assert any("held-out accuracy dense" in message for message in messages)
    assert set(provenance["left_dense"]) == {"conv1", "fc2"}
    untrained = extract("digits_cnn", prune="nm:2:8", seed=2)
    mask = unpack(first.mask("conv3.weight@FF"), 9 * 32)
    assert (mask.reshape(64, -1, 8).sum(axis=2) == 2).all()
    assert not np.array_equal(first.mask("conv3.weight@FF"), untrained.mask("conv3.weight@FF"))


@pytest.mark.usefixtures("one_epoch")
def test_without_pruning_only_the_dense_network_is_trained() -> None:
    trace = extract("digits_cnn", phase="inference", seed=1)
    assert set(trace.manifest.provenance["accuracy"]) == {"dense"}
    assert trace.manifest.provenance["weights"] == "trained here (dense, seed 1)"


@pytest.mark.usefixtures("one_epoch")
@pytest.mark.parametrize("prune", ["balanced:4", "unstructured:0.8"])
def test_other_patterns_are_trained_too(prune: str) -> None:
    trace = extract("digits_cnn", prune=prune, phase="inference")
    assert set(trace.manifest.provenance["accuracy"]) == {"dense", f"bdwp {prune}"}
    trace.check_masks("here")


@pytest.mark.parametrize("method", ["srste", "sdgp", "bdwp"])
def test_pruned_training_comes_close_to_dense(method: str) -> None:
    accuracy = extract("digits_cnn", prune="nm:2:8", method=method).manifest.provenance["accuracy"]
    assert accuracy["dense"] > 0.97
    assert accuracy[f"{method} 2:8"] > accuracy["dense"] - 0.03
