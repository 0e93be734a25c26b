"""What a trace says of where it came from: how it was pruned, what was measured, notes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparsesim.trace import Dense
from workloads.activation_masks import ActivationMasks
from workloads.forward_graph import ForwardGraph
from workloads.found_masks import FoundMasks
from workloads.pruning.methods import LayerPlan
from workloads.pruning.pruning import Pruning
from workloads.recipe import DETECT
from workloads.trace_builder import TraceBuilder
from workloads.training_phases import STRIDED_BP_NOTE

DENSE_NOTE = "--prune none: dense, nothing is pruned"


def pruned_how(prune: str, method: str, dense: bool, found: FoundMasks) -> dict[str, Any]:
    """`prune`, `method` and, where zeros were looked for, what was found in each layer."""
    if prune != DETECT:
        return {"prune": prune, "method": "dense" if dense else method}
    if not found.sparse:
        return {"prune": "none", "method": "dense"}
    words = {layer: detected.words for layer, detected in found.found.items()}
    return {"prune": DETECT, "method": "given", "detected": words}


def measured_how(
    activations: str | None,
    kv_cache: str | None,
    inputs: Sequence[str],
    running: ActivationMasks | None,
) -> dict[str, Any]:
    """What a measuring run was given and found; nothing without one."""
    if running is None:
        return {}
    files = [Path(name).name for name in inputs] or ["random"]
    said: dict[str, Any] = {"inputs": " ".join(files), "measured": running.described()}
    if activations is not None:
        said["activations"] = activations
    if kv_cache is not None:
        said["kv_cache"] = kv_cache
    return said


def left_dense(graph: ForwardGraph, plans: dict[str, LayerPlan]) -> dict[str, str]:
    """Layers that a recipe leaves dense, and why."""
    reasons: dict[str, str] = {}
    for weight in graph.weights:
        reason = plans[weight.parameter].left_dense
        if reason is not None:
            reasons[weight.layer] = reason
    return reasons


def pruning_notes(
    pattern: Pruning | None, method: str, training: bool, builder: TraceBuilder
) -> list[str]:
    """What a recipe did not do, and how phases are counted; None is no recipe but `detect`."""
    notes = []
    if pattern is None:
        pass
    elif isinstance(pattern, Dense) and method not in ("dense", "bdwp"):
        notes.append(f"--prune none: dense, method {method} has nothing to prune")
    elif isinstance(pattern, Dense):
        notes.append(DENSE_NOTE)
    elif method == "dense":
        notes.append("--method dense: nothing is pruned")
    elif not training and not builder.has_sparse_product():
        notes.append(f"method {method} leaves the forward pass dense: nothing is pruned")
    if training and builder.has_strided_convolution():
        notes.append(STRIDED_BP_NOTE)
    return notes
