"""Parameters of catalog networks: they are obeyed and recorded, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import Gemm, load  # noqa: E402
from tests.cli.command_line import done, refused  # noqa: E402
from workloads.extract import extract  # noqa: E402


def test_parameters_reach_the_network_and_the_provenance(tmp_path: Path) -> None:
    out = tmp_path / "vit.trace"
    result = done(
        "extract", "vit", "-o", out, "--param", "layers=1", "--param", "patch=8", "--prune",
        "none", "--phase", "inference", "--batch", "2", "--json",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert document["provenance"]["configuration"]["patch"] == 8
    assert document["provenance"]["configuration"]["width"] == 512
    trace = load(out)
    assert document["sha256"] == trace.sha256()
    patches = next(op for op in trace.operators if isinstance(op, Gemm))
    assert (patches.m, patches.n, patches.k) == (2 * 16, 512, 8 * 8 * 3)
    assert sum(op.layer.endswith("attn.qkv") for op in trace.operators) == 1


@pytest.mark.parametrize(
    ("name", "values", "match"),
    [
        ("vit", {"layer": 2}, r"^vit: no parameter 'layer'; did you mean 'layers'.*allowed: image"),
        ("vit", {"patch": 5}, r"^vit: --param: patch: must divide image \(32\) \(got 5\)"),
        ("vit", {"image": 30}, r"^vit: --param: patch: must divide image \(30\) \(got 4\)"),
        ("vit", {"heads": 7}, r"heads: must divide width \(512\)"),
        ("vit", {"layers": "two"}, r"layers: .*integer.*\(got 'two'\)"),
        ("resnet50", {"image": 8}, r"image: .*greater than or equal to 32"),
        ("resnet18", {"blocks": [2, 2]}, r"^resnet18: --param: blocks.*required"),
        ("resnet18", {"blocks": [2, 2, 0, 2]}, r"blocks.2: .*greater than 0"),
        ("resnet9", {"image": 36}, r"image: .*multiple of 8"),
        ("resnet18_tiny", {"stem": "5x5"}, r"stem: .*'3x3' or '7x7'"),
        ("mobilenet_v2", {"width": float("nan")}, r"width: "),
        ("bert_base", {"length": 513}, r"length: must be at most positions \(512\)"),
        ("bert_base", {"positions": 256}, r"length: must be at most positions \(256\)"),
        ("bert_base", {"buckets": [64, 0]}, r"buckets: each must be from 1 to positions"),
        ("bert_base", {"buckets": [32, 64, 96]}, r"^--batch 2: fewer samples than the 3 buckets"),
        ("gpt2", {"mode": "decode", "length": 1024}, r"positions: must be at least 1025"),
        ("llama2_7b", {"kv_heads": 5}, r"kv_heads: must divide heads \(32\)"),
        ("digits_cnn", {"image": 9}, r"^digits_cnn: no parameter 'image'; it has none"),
        ("torch.nn:Linear", {"bias": 0}, r"^--param: torch.nn:Linear is not of the catalog"),
    ],
)
def test_refusals_are_one_line(name: str, values: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match) as refusal:
        extract(name, parameters=values, batch=2)
    assert "\n" not in str(refusal.value)


def test_refusals_on_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "x.trace"
    refused(r"--param 'image': must be key=value", "extract", "vit", "-o", out, "--param", "image")
    refused(
        r"--param image: given twice",
        "extract", "vit", "-o", out, "--param", "image=32", "--param", "image=64",
    )  # fmt: skip
    refused(r"Missing option '-o'", "extract", "vit")
    refused(r"Missing argument 'SOURCE'", "extract", "-o", out)
    assert not out.exists()


def test_example_inputs_that_fit_in_no_memory() -> None:
    with pytest.raises(InputError, match=r"^resnet9: cannot be built with batch 2000000000"):
        extract("resnet9", batch=2_000_000_000)


def test_a_network_too_large_to_hold_takes_no_checkpoint(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({}, weights)
    with pytest.raises(InputError, match="--lazy: no weights are read"):
        extract("llama2_7b", checkpoint=weights, parameters={"layers": 1})
