"""What each training method prunes in each of the three GEMMs of a layer.

| method | FF | BP | WU |
|---|---|---|---|
| dense | dense | dense | dense |
| srste | weights along input channels | the same weights (zeros on the n axis) | dense |
| sdgp | dense | output gradient along output channels | dense |
| sdwp | dense | weights along output channels | dense |
| bdwp | weights along input channels | weights along output channels, mask of its own | dense |

SR-STE: arXiv 2102.04010; SDGP: arXiv 2203.05705 (as coded by its authors); BDWP and SDWP: arXiv
2309.13015. Both masks of BDWP are cut from the dense weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense
from sparsesim.trace.patterns import Axis
from workloads.forward_graph import Weight
from workloads.recipe import Pruning

FORWARD_METHODS = frozenset({"srste", "bdwp"})


@dataclass(frozen=True)
class LayerPlan:
    """What is pruned in one layer.

    Attributes:
        pattern: the pattern, with axis k.
        forward: FF weights, along the input channels.
        backward: BP weights; "k": a mask of its own, along the output channels; "n": FF's mask.
        gradient: the output gradient as BP reads it.
        left_dense: why some direction that the method prunes stays dense.
    """

    pattern: Pruning
    forward: bool = False
    backward: Axis | None = None
    gradient: bool = False
    left_dense: str | None = None

    @property
    def anything(self) -> bool:
        """Whether anything is pruned at all."""
        return self.forward or self.backward is not None or self.gradient


def plan_layers(
    weights: Iterable[Weight], pattern: Pruning, method: str, training: bool
) -> dict[str, LayerPlan]:
    """Decide per parameter what `method` prunes with `pattern`; in inference only FF counts.

    Returns:
        A plan for each parameter that is the weight of a GEMM.

    Raises:
        InputError: the pattern fits no layer at all.
    """
    plans: dict[str, LayerPlan] = {}
    layers: dict[str, str] = {}
    for weight in weights:
        plan = _plan(weight, pattern, method, training)
        before = plans.get(weight.parameter)
        # A shared parameter is one array: where one use must be dense, all are.
        if before is None or plan.left_dense is not None:
            plans[weight.parameter] = plan
        layers[weight.parameter] = weight.layer
    wanted = any(plan.left_dense for plan in plans.values())
    if wanted and not any(plan.anything for plan in plans.values()):
        reasons = "; ".join(
            f"{layers[name]}: {plan.left_dense}" for name, plan in list(plans.items())[:3]
        )
        more = f"; and {len(plans) - 3} more layers" if len(plans) > 3 else ""
        raise InputError(
            f"no layer can be pruned to {pattern} by method {method} "
            f"({reasons or 'no layer has weights'}{more})"
        )
    return plans


def _plan(weight: Weight, pattern: Pruning, method: str, training: bool) -> LayerPlan:
    if isinstance(pattern, Dense) or method == "dense":
        return LayerPlan(Dense())
    if not training and method not in FORWARD_METHODS:
        return LayerPlan(Dense())
    if weight.first:
        return LayerPlan(pattern, left_dense="first layer")
    along_inputs = _misfit(pattern, weight.inputs, "input channels")
    along_outputs = _misfit(pattern, weight.outputs, "output channels")
    if method == "srste" or not training:
        if along_inputs:
            return LayerPlan(pattern, left_dense=f"FF: {along_inputs}")
        return LayerPlan(pattern, forward=True, backward="n" if training else None)
    if method == "bdwp":
        reasons = [
            f"{phase}: {misfit}"
            for phase, misfit in (("FF", along_inputs), ("BP", along_outputs))
            if misfit
        ]
        return LayerPlan(
            pattern,
            forward=not along_inputs,
            backward=None if along_outputs else "k",
            left_dense="; ".join(reasons) or None,
        )
    if along_outputs:
        return LayerPlan(pattern, left_dense=f"BP: {along_outputs}")
    if method == "sdgp":
        return LayerPlan(pattern, gradient=True)
    return LayerPlan(pattern, backward="k")


def _misfit(pattern: Pruning, channels: int, what: str) -> str | None:
    """Why groups of `pattern` cannot run along `channels`, or None."""
    if not isinstance(pattern, NM | Balanced):
        return None
    group = pattern.m if isinstance(pattern, NM) else pattern.group
    if channels < group:
        return f"{channels} {what}, fewer than the group of {group}"
    if channels % group:
        return f"{channels} {what}, not a multiple of the group of {group}"
    return None
