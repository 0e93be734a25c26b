"""Networks of the catalog have as many parameters as published."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from workloads.catalog import load_entry  # noqa: E402

#: Published or from the reference implementation. BERT and ALBERT as encoder with pooler; tied
#: output layers count once.
PUBLISHED: list[tuple[str, dict[str, Any], int]] = [
    ("resnet9", {}, 6_573_120),  # DAWNBench network, bias-free
    ("resnet18", {}, 11_689_512),  # torchvision
    ("resnet34", {}, 21_797_672),
    ("resnet101", {}, 44_549_160),
    ("resnet152", {}, 60_192_808),
    ("resnet50", {}, 25_557_032),  # torchvision
    ("resnet50", {"classes": 10}, 23_528_522),
    # kuangliu/pytorch-cifar has 11,173,962 for 10 classes
    ("resnet18_tiny", {"classes": 10}, 11_173_962),
    ("resnet18_tiny", {"stem": "7x7", "classes": 1000}, 11_689_512),
    # torchvision, the networks of the paper
    (
        "vgg19",
        {"image": 224, "classes": 1000, "classifier": "mlp", "batch_norm": False},
        143_667_240,
    ),
    ("vgg19", {"image": 224, "classes": 1000, "classifier": "mlp"}, 143_678_248),
    ("vgg19", {"classes": 10}, 20_040_522),  # kuangliu/pytorch-cifar
    ("vit_b16", {}, 86_567_656),  # torchvision
    # torchvision's ViT-L/16
    ("vit_b16", {"width": 1024, "layers": 24, "heads": 16, "mlp": 4096}, 304_326_632),
    ("mobilenet_v2", {}, 3_504_872),  # torchvision
    ("bert_base", {}, 109_482_240),
    ("bert_base", {"head": "question_answering"}, 108_893_186),
    ("bert_base", {"head": "masked_language"}, 109_514_298),
    ("bert_large", {}, 335_141_888),
    ("minilm", {}, 22_713_216),
    ("albert_base", {}, 11_683_584),
    ("gpt2", {}, 124_439_808),
    ("gpt2", {"width": 1024, "layers": 24, "heads": 16, "mlp": 4096}, 354_823_168),  # GPT-2 medium
    ("llama2_7b", {}, 6_738_415_616),
    # Llama 3 8B: other vocabulary, eight heads of keys and values, wider MLP
    ("llama2_7b", {"vocabulary": 128256, "kv_heads": 8, "mlp": 14336}, 8_030_261_248),
]


@pytest.mark.parametrize(
    ("name", "values", "published"), PUBLISHED, ids=lambda value: str(value)[:40]
)
def test_parameters_are_as_many_as_published(
    name: str, values: dict[str, Any], published: int
) -> None:
    with torch.device("meta"):
        module, _ = load_entry(name).example(name, 1, values)
    assert sum(value.numel() for value in module.parameters()) == published


def test_every_block_of_the_sat_papers_vit_is_there() -> None:
    with torch.device("meta"):
        module, _ = load_entry("vit").example("vit", 1, {})
    width, mlp = 512, 512
    block = 4 * width * width + 2 * width * mlp + (4 + 1 + 4) * width + mlp  # biases, two norms
    patches = 48 * width + width
    rest = 66 * width + 2 * width + width * 100 + 100  # class token, positions, norm, head
    assert sum(value.numel() for value in module.parameters()) == 6 * block + patches + rest
