"""Names of networks, prunings and numbers."""

from __future__ import annotations

import pytest

from reports.labels import network_label, slug, variant_label
from reports.units import axis_prefix, quantity, short


@pytest.mark.parametrize(
    ("prune", "method", "label"),
    [
        ("none", "dense", "dense"),
        ("nm:2:8", "bdwp", "BDWP 2:8"),
        ("nm:2:4", "srste", "SR-STE 2:4"),
        ("nm:2:8", "dense", "dense"),
        ("balanced:16", "", "1/16"),
        ("unstructured:0.9", "", "90 % pruned"),
        ("unstructured:0.875", "", "87.5 % pruned"),
        ("", "", "pruning not stated"),
        ("own:thing", "mine", "mine own:thing"),
    ],
)
def test_variant_label(prune: str, method: str, label: str) -> None:
    assert variant_label(prune, method) == label


def test_inference_is_named_by_the_pattern() -> None:
    assert variant_label("nm:2:8", "bdwp", "inference") == "2:8"
    assert variant_label("none", "bdwp", "inference") == "dense"


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("resnet18", "resnet18"),
        ("package.models:build", "build"),
        ("models/net.v2.pt2", "net.v2"),
        ("odd:", "odd:"),
    ],
)
def test_network_label(source: str, label: str) -> None:
    assert network_label(source) == label


def test_slug() -> None:
    assert slug("ResNet 18, BDWP 2:8!") == "resnet-18-bdwp-2-8"


def test_units() -> None:
    assert axis_prefix(2.5e-3) == (1e-3, "m")
    assert axis_prefix(0.0) == (1.0, "")
    assert quantity(0.0469, "s") == "46.9 ms"
    assert quantity(9.995e8, "B") == "1.00 GB"
    assert quantity(0, "J") == "0 J"
    assert short(4096) == "4096"
    assert short(4.8e9) == "4.8 G"
