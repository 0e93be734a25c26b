"""What stays on chip: weights in L2, activations between operators, and how the batch is cut.

Dies take whole samples. With the weights resident a die runs its samples in `parts`, depth first,
as many as it takes for the activations that live at one time to fit beside them. Otherwise the
whole batch runs operator by operator, so that weights are fetched once, and activations that find
no room go to DRAM.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from sparsesim.machines.s4.filters import Filters
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.trace import Gemm, Trace
from sparsesim.trace.trace import operator_tensors


@dataclass(frozen=True)
class BatchCut:
    """Whole samples for each die, and for each part that a die runs through the whole trace.

    Attributes:
        batch: samples of the trace. dies: of the board. parts: of a die's samples.
    """

    batch: int
    dies: int
    parts: int

    @property
    def die_samples(self) -> int:
        """Samples of the die that has most."""
        return ceil(self.batch / self.dies)

    @property
    def part_samples(self) -> int:
        """Samples of its largest part."""
        return ceil(self.die_samples / self.parts)

    def of_die(self, count: int) -> int:
        """What of `count` for the whole batch the fullest die has."""
        return -(-count * self.die_samples // self.batch)

    def of_part(self, count: int) -> int:
        """What of `count` for the whole batch its largest part has."""
        return -(-count * self.part_samples // self.batch)

    @property
    def runs(self) -> int:
        """How often the board runs through the trace: parts on every die that has samples."""
        return self.parts * ceil(self.batch / self.die_samples)


@dataclass(frozen=True)
class Placement:
    """Where operands live.

    Attributes:
        weights: "copied" into every core's L2, "shared" out over the cores, or "dram".
        cut: how the batch is cut.
        in_dram: activations that do not fit on chip.
        weight_bytes: all stored weights, one copy.
        peak_bytes: activations alive at one time, of one part on one die.
    """

    weights: str
    cut: BatchCut
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
    sizes = {name: trace.tensors[name].elements * spec.element_bytes for name in lifetimes}

    def fit(cut: BatchCut, room: int) -> tuple[frozenset[str], int]:
        return _fit(lifetimes, {name: cut.of_part(size) for name, size in sizes.items()}, room)

    options = {"auto": ("copied", "shared"), "broadcast": ("copied",), "rotate": ("shared",)}
    for kind in options[spec.mapping] if spec.resident_weights else ():
        left = capacity - weights * (spec.cores if kind == "copied" else 1)
        for parts in range(1, ceil(batch / spec.dies) + 1 if left > 0 else 1):
            if fit(BatchCut(batch, spec.dies, parts), left)[0]:
                continue
            # Up to twice as many parts if they are more even: a short last part is timed as whole.
            cuts = (BatchCut(batch, spec.dies, more) for more in range(parts, 2 * parts + 1))
            cut = min(cuts, key=lambda cut: cut.parts * cut.part_samples)
            return Placement(kind, cut, frozenset(), weights, fit(cut, left)[1])
    largest = max(stored.values(), default=0)
    # Streaming weights keep two of the largest layer's blocks in L2.
    cut = BatchCut(batch, spec.dies, 1)
    spilled, peak = fit(cut, max(0, capacity - min(capacity // 2, largest)))
    return Placement("dram", cut, spilled, weights, peak)


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
