"""The balanced pattern: masks that break it are refused, or padded and the cost is told."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsesim.errors import InputError
from sparsesim.machines.s4.filters import channel_counts, filters_of, padded_kept, uniform_kept
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.trace import Gemm, Trace


def refuse_unbalanced(trace: Trace, spec: S4Spec) -> None:
    """Check that every group of channels of a layer's filters keeps equally many weights.

    Raises:
        InputError: names the first offending layer, filter and group.
    """
    for gemm in _sparse_gemms(trace):
        kept = uniform_kept(gemm.b, spec)
        if kept in spec.kept_allowed:
            continue
        allowed = ", ".join(map(str, spec.kept_allowed))
        if kept is not None:
            raise InputError(
                f"layer {gemm.layer!r}: pattern {gemm.b.pattern} keeps {kept} of every "
                f"{spec.group} channels, the machine has {allowed} (--pad pads it)"
            )
        counts = channel_counts(trace, gemm, spec)
        usual = int(np.bincount(counts.ravel()).argmax())
        wrong = counts != usual
        if usual not in spec.kept_allowed:  # a layer of a ratio that the machine does not have
            wrong[:] = True
        if wrong.any():
            row, group = np.unravel_index(int(wrong.argmax()), wrong.shape)
            demand = f"others {usual}" if usual in spec.kept_allowed else f"allowed: {allowed}"
            raise InputError(
                f"layer {gemm.layer!r}: filter {row}, group {group} keeps {counts[row, group]} of "
                f"{spec.group} channels, {demand}: the balanced pattern is broken "
                "(--pad runs it at the padded cost)"
            )


def padding_report(trace: Trace, spec: S4Spec) -> dict[str, Any]:
    """What padding costs, by layer and in all: pairs issued for pairs that do work."""
    layers: dict[str, Any] = {}
    for gemm in _sparse_gemms(trace):
        if _balanced(trace, gemm, spec):
            continue
        filters = filters_of(trace, gemm, spec)
        slots = filters.stored_pairs * gemm.groups
        layers[gemm.layer] = {
            "pattern": str(gemm.b.pattern),
            "run_as": filters.label,
            "weights": filters.nonzeros * gemm.groups,
            "padded_to": slots,
            "cost": slots / max(1, filters.nonzeros * gemm.groups),
            "rows": gemm.m,
        }
    weights = sum(entry["weights"] * entry["rows"] for entry in layers.values())
    padded = sum(entry["padded_to"] * entry["rows"] for entry in layers.values())
    return {
        "layers_padded": len(layers),
        "cost": padded / weights if weights else 1.0,
        "layers": layers,
    }


def _sparse_gemms(trace: Trace) -> list[Gemm]:
    return [op for op in trace.operators if isinstance(op, Gemm) and op.b.pattern.density < 1.0]


def _balanced(trace: Trace, gemm: Gemm, spec: S4Spec) -> bool:
    kept = uniform_kept(gemm.b, spec)
    if kept is not None:
        return kept in spec.kept_allowed
    counts = channel_counts(trace, gemm, spec)
    most = int(counts.max())
    return most >= 1 and int(counts.min()) == most == padded_kept(most, spec)
