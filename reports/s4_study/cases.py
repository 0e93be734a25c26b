"""What the study simulates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SPARSITIES = (1, 2, 4, 8, 16, 32)
#: Channels of a balanced group, as `extract --prune balanced:S` makes them.
GROUP = 32


@dataclass(frozen=True)
class Case:
    """A network of the catalog at a batch; `family` where its sizes are compared."""

    source: str
    batch: int
    label: str
    family: str = ""
    limits: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)


#: Networks of the sparsity study, and further sizes for the comparison at equal power.
CASES = (
    Case("resnet50", 64, "ResNet-50", "ResNet"),
    Case("mobilenet_v2", 64, "MobileNetV2"),
    Case("bert_base", 8, "BERT-base, 384", "BERT"),
    Case("bert_large", 8, "BERT-large, 384", "BERT"),
    Case("albert_base", 8, "ALBERT-base, 384"),
    Case("vit_b16", 16, "ViT-B/16"),
    Case("gpt2", 4, "GPT-2 prefill, 512"),
    Case("gpt2", 4, "GPT-2 decode, cache 512", parameters={"mode": "decode"}),
    Case("resnet18", 64, "ResNet-18", "ResNet", limits=False),
    Case("resnet34", 64, "ResNet-34", "ResNet", limits=False),
    Case("resnet101", 64, "ResNet-101", "ResNet", limits=False),
    Case("resnet152", 64, "ResNet-152", "ResNet", limits=False),
    Case("minilm", 8, "MiniLM-L6, 384", "BERT", limits=False, parameters={"length": 384}),
)
