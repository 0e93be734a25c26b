"""What stays on chip: weights in L2, activations between operators, and how the batch is cut.

With the weights resident the batch is run in `parts`, depth first, as many as it takes for the
activations that live at one time to fit beside them. Otherwise the whole batch runs operator by
operator, so that weights are fetched once, and activations that find no room go to DRAM.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sparsesim.machines.s4.filters import Filters
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.trace import Gemm, Trace
from sparsesim.trace.trace import operator_tensors


@dataclass(frozen=True)
class Placement:
    """Where operands live.

    Attributes:
        weights: "copied" into every core's L2, "shared" out over the cores, or "dram".
        parts: how often the batch is cut; each part runs through the whole trace.
        in_dram: activations that do not fit on chip.
        weight_bytes: all stored weights, one copy.
        peak_bytes: activations alive at one time, of one part on one die.
    """

    weights: str
    parts: int
    in_dram: frozenset[str]
    weight_bytes: int
    peak_bytes: int


def place(
    trace: Trace, filters: dict[str, Filters], spec: S4Spec, batch: int, static: frozenset[str]
) -> Placement:
    """Decide for a whole trace.

    Args:
        filters: by operator name.
        batch: samples that may be cut apart (of the whole board).
        static: tensors that are weights.
    """
    stored: dict[str, int] = {}
    for op in trace.operators:
        if isinstance(op, Gemm) and op.b.tensor in static:
            stored[op.b.tensor] = filters[op.name].stored_bytes * op.groups
    weights = sum(stored.values())
    capacity = spec.cores * spec.l2_bytes
    lifetimes = _lifetimes(trace, static)
    whole = {name: ceil(trace.tensors[name].elements * spec.element_bytes / spec.dies)
             for name in lifetimes}  # fmt: skip
    samples = max(1, batch // spec.dies)
    options = {"auto": ("copied", "shared"), "broadcast": ("copied",), "rotate": ("shared",)}
    for kind in options[spec.mapping] if spec.resident_weights else ():
        left = capacity - weights * (spec.cores if kind == "copied" else 1)
        for parts in range(1, samples + 1):
            if left <= 0:
                break
            if parts > 1 and samples % parts:
                continue
            sizes = {name: ceil(size / parts) for name, size in whole.items()}
            spilled, peak = _fit(lifetimes, sizes, left)
            if not spilled:
                return Placement(kind, parts, frozenset(), weights, peak)
    largest = max(stored.values(), default=0)
    # Streaming weights keep two of the largest layer's blocks in L2.
    spilled, peak = _fit(lifetimes, whole, max(0, capacity - min(capacity // 2, largest)))
    return Placement("dram", 1, spilled, weights, peak)


def _lifetimes(trace: Trace, static: frozenset[str]) -> dict[str, tuple[int, int]]:
    """(first, last) operator number at which each activation is alive."""
    found: dict[str, tuple[int, int]] = {}
    for number, op in enumerate(trace.operators):
        for name in operator_tensors(op):
            if name in static or trace.tensors[name].role in ("weight", "state"):
                continue
            whole = name.split("[")[0]  # a part of a tensor lives as long as the tensor
            key = whole if whole in trace.tensors else name
            first = found.get(key, (number, number))[0]
            found[key] = (first, number)
    return found


def _fit(
    lifetimes: dict[str, tuple[int, int]], sizes: dict[str, int], capacity: int
) -> tuple[frozenset[str], int]:
    """Tensors that find no room, first come first served, and the peak of those that do."""
    ending: dict[int, list[str]] = {}
    spilled = set()
    used = peak = 0
    for name, (first, last) in sorted(lifetimes.items(), key=lambda item: item[1]):
        for end in [end for end in ending if end < first]:
            used -= sum(sizes[other] for other in ending.pop(end))
        if used + sizes[name] > capacity:
            spilled.add(name)
            continue
        used += sizes[name]
        peak = max(peak, used)
        ending.setdefault(last, []).append(name)
    return frozenset(spilled), peak
