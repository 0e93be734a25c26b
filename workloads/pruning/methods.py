"""What each training method prunes in each of the three GEMMs of a layer, one entry a method.

| method | FF weights | BP weights | WU | update |
|---|---|---|---|---|
| dense | dense | dense | dense | plain |
| srste | N:M along inputs | the same (zeros on the n axis: no use to a reduction) | dense | decay |
| sdgp | dense | dense; the output gradient N:M along outputs | dense | plain |
| sdwp | dense | N:M along outputs | dense | decay |
| bdwp | N:M along inputs | N:M along outputs, both cut from the dense weights | dense | decay |
| transposable | one N:M mask along both | the same | dense | plain, masks cut every 40 steps |
| bimask | N:M along inputs | what is left of it, N:M along permuted outputs | dense | decay |
| slope | N:M along inputs, never cut again | what is left of it, N:M along outputs | dense | kept |

docs/training.md gives the sources, and what of each is found, recalled or assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense
from workloads.forward_graph import Weight
from workloads.pruning.allocation import ErdosRenyiKernel, GlobalMagnitude, allocate
from workloads.pruning.pruning import Pruning
from workloads.pruning.structures import Structure

Backward = Literal["k", "n", "both", "twice", "permuted"]
"""BP weights. k: a mask of their own, N:M along the outputs, the reduction of BP. n: the FF mask,
whose groups lie across the reduction. both: the FF mask, which holds along both axes. twice: the FF
mask pruned again along the outputs. permuted: the same along outputs in a searched order."""

Update = Literal["plain", "decay", "kept"]
"""What the optimizer gets. plain: the dense gradient (straight-through). decay: with the SR-STE
term. kept: the gradient of the weights that FF keeps, which alone are updated."""


@dataclass(frozen=True)
class Method:
    """A training method.

    Attributes:
        forward: FF weights are pruned along the inputs.
        backward: what BP reads of the weights; None: all of them.
        gradient: BP prunes the output gradient along the outputs as it streams; WU does not.
        update: what the optimizer gets.
        recut: steps between two cuts of the masks; None: cut once, from the initial weights.
        groups_only: defined for N:M alone.
    """

    forward: bool = False
    backward: Backward | None = None
    gradient: bool = False
    update: Update = "plain"
    recut: int | None = 1
    groups_only: bool = False


TRAINING_METHODS: dict[str, Method] = {
    "dense": Method(),
    "srste": Method(forward=True, backward="n", update="decay"),
    "sdgp": Method(gradient=True),
    "sdwp": Method(backward="k", update="decay"),
    "bdwp": Method(forward=True, backward="k", update="decay"),
    "transposable": Method(forward=True, backward="both", recut=40, groups_only=True),
    "bimask": Method(forward=True, backward="permuted", update="decay", groups_only=True),
    "slope": Method(forward=True, backward="twice", update="kept", recut=None, groups_only=True),
}


@dataclass(frozen=True)
class LayerPlan:
    """What is pruned in one layer.

    Attributes:
        pattern: the pattern, with axis k, or a structure that serves both directions.
        forward: FF weights, along the input channels.
        backward: BP weights; see `Backward`.
        gradient: the output gradient as BP reads it.
        left_dense: why some direction that the method prunes stays dense.
        update: what the optimizer gets.
        recut: steps between two cuts of the masks; None: cut once.
    """

    pattern: Pruning
    forward: bool = False
    backward: Backward | None = None
    gradient: bool = False
    left_dense: str | None = None
    update: Update = "plain"
    recut: int | None = 1

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
        InputError: the pattern fits no layer at all, or the method is not defined for it.
    """
    if TRAINING_METHODS[method].groups_only and not isinstance(pattern, NM | Dense):
        raise InputError(f"--method {method}: is defined for nm:N:M alone (--prune is {pattern})")
    listed = _with_first_layers(weights)
    plans: dict[str, LayerPlan] = {}
    layers: dict[str, str] = {}
    for weight in listed:
        plan = _plan(weight, pattern, method, training)
        before = plans.get(weight.parameter)
        # A shared parameter is one array: where one use must be dense, all are.
        if before is None or plan.left_dense is not None:
            plans[weight.parameter] = plan
        layers[weight.parameter] = weight.layer
    if isinstance(pattern, ErdosRenyiKernel | GlobalMagnitude):
        pruned = [weight for weight in listed if plans[weight.parameter].anything]
        for name, share in (allocate(pattern, pruned) if pruned else {}).items():
            plans[name] = replace(plans[name], pattern=share)
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


def _with_first_layers(weights: Iterable[Weight]) -> list[Weight]:
    """The weights, those of the first layer alone marked as first.

    A weight that also reads what others wrote is not the first layer: the recurrent weight of an
    LSTM, whose first step reads the initial state.
    """
    listed = list(weights)
    inner = {weight.parameter for weight in listed if not weight.first}
    return [
        replace(weight, first=False) if weight.parameter in inner else weight for weight in listed
    ]


def _plan(weight: Weight, pattern: Pruning, name: str, training: bool) -> LayerPlan:
    method = TRAINING_METHODS[name]
    if isinstance(pattern, Dense) or name == "dense" or not (training or method.forward):
        return LayerPlan(Dense())
    if weight.first:
        return LayerPlan(pattern, left_dense="first layer")
    if isinstance(pattern, Structure | ErdosRenyiKernel | GlobalMagnitude):
        return _one_mask(weight, pattern, method, training)
    along_inputs = _misfit(pattern, weight.inputs, "input channels") if method.forward else None
    # One mask along both axes is that mask in inference, too.
    asked = training or method.backward == "both"
    # The FF mask as it is needs no groups along the outputs; all else that BP reads does.
    own = asked and (method.gradient or method.backward not in (None, "n"))
    along_outputs = _misfit(pattern, weight.outputs, "output channels") if own else None
    reasons = [
        f"{phase}: {misfit}"
        for phase, misfit in (("FF", along_inputs), ("BP", along_outputs))
        if misfit
    ]
    forward = method.forward and not along_inputs
    backward = method.backward if asked and not along_outputs else None
    if method.backward == "both" and reasons:
        forward, backward = False, None
    elif method.backward in ("n", "twice", "permuted") and not forward:  # made of the FF mask
        backward = None
    return LayerPlan(
        pattern,
        forward=forward,
        backward=backward,
        gradient=method.gradient and not along_outputs,
        left_dense="; ".join(reasons) or None,
        update=method.update,
        recut=method.recut,
    )


def _one_mask(
    weight: Weight,
    pattern: Structure | ErdosRenyiKernel | GlobalMagnitude,
    method: Method,
    training: bool,
) -> LayerPlan:
    """The plan of a recipe that keeps the same weights in both directions."""
    if method.gradient:
        return LayerPlan(pattern, left_dense=f"BP: {pattern} is no pattern of gradients")
    shape = (weight.groups, weight.outputs, weight.taps, weight.inputs)
    misfit = pattern.misfit(shape) if isinstance(pattern, Structure) else None
    if misfit:
        return LayerPlan(pattern, left_dense=misfit)
    return LayerPlan(
        pattern,
        forward=method.forward,
        backward="n" if training and method.forward else method.backward if training else None,
        update=method.update,
        recut=method.recut,
    )


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
