"""Element-wise operators that run as one stream, and work done where results leave the array.

`fusion` of the machine: *none* sends every intermediate to the DRAM. *elementwise* runs an operator
and the first reader of its result as one stream unless the estimate says that this is slower: the
intermediate is not read back, and not written if nobody else reads it; a function of several
sweeps makes the parts before it run again. *drain* also takes batch-norm statistics (a sum and a
sum of squares per column) and ReLU at the array's output port, where one result per column
passes in a clock, for no time of their own.

Pooling is never part of a stream: it would need lines of the image at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.steps import Vector, VectorStep
from sparsesim.machines.sat.tensor_readers import is_update, readers
from sparsesim.machines.sat.vector_unit import estimated_clocks
from sparsesim.trace import Elementwise, Gemm, Operator, Reduction, Trace


@dataclass(frozen=True)
class Fusion:
    """How the element-wise operators of a trace run.

    Attributes:
        streams: by the name of the last part, where it then stands in the order.
        drained: functions done at the array's output port, by GEMM.
        step_of: name of the step that an operator became part of, where that is another name.
    """

    streams: Mapping[str, VectorStep]
    drained: Mapping[str, tuple[str, ...]]
    step_of: Mapping[str, str]

    def stream(self, operator: Vector) -> VectorStep:
        """The stream that ends with `operator`."""
        return self.streams[operator.name]


def fuse(trace: Trace, spec: SatSpec) -> Fusion:
    """Choose the streams of `trace`."""
    planner = _Planner(trace, spec)
    drained: dict[str, tuple[str, ...]] = {}
    step_of: dict[str, str] = {}
    if spec.fusion == "drain":
        for gemm, operator in planner.leaving_the_array():
            drained[gemm.name] = (operator.function,)
            if operator.function == "relu":
                step_of[operator.name] = gemm.name
            else:
                planner.counted.add(operator.name)
    chains = planner.chains(set(step_of))
    streams = {}
    for parts in chains:
        step = planner.step(parts)
        streams[parts[-1].name] = step
        if len(parts) > 1:
            step_of |= {part.name: step.name for part in parts}
    return Fusion(streams, drained, step_of)


class _Planner:
    def __init__(self, trace: Trace, spec: SatSpec) -> None:
        self._trace, self._spec = trace, spec
        self._readers = readers(trace.operators)
        self._place = {operator.name: place for place, operator in enumerate(trace.operators)}
        #: places of the operators that wait for one, in order
        self._waiting: dict[str, list[int]] = {}
        for place, operator in enumerate(trace.operators):
            for dep in operator.deps:
                self._waiting.setdefault(dep, []).append(place)
        #: batch-norms whose statistics are taken at the array's output port
        self.counted: set[str] = set()

    def leaving_the_array(self) -> list[tuple[Gemm, Vector]]:
        """GEMMs, and the first reader of each result if the output port can do (part of) it."""
        found: list[tuple[Gemm, Vector]] = []
        for operator in self._trace.operators:
            if not isinstance(operator, Gemm) or operator.name not in self._waiting:
                continue
            first = self._trace.operators[self._waiting[operator.name][0]]
            if not isinstance(first, Elementwise) or first.inputs[:1] != (operator.output,):
                continue
            alone = self._readers[operator.output] == [first]
            if first.function == "batch_norm" or (first.function == "relu" and alone):
                found.append((operator, first))
        return found

    def chains(self, absorbed: set[str]) -> list[list[Vector]]:
        """Element-wise operators by the stream that they run in."""
        chain_of: dict[str, list[Vector]] = {}
        for operator in self._trace.operators:
            if not isinstance(operator, Elementwise | Reduction) or operator.name in absorbed:
                continue
            if is_update(operator, self._spec):
                continue
            chain = self._extended(operator, chain_of)
            for part in chain:
                chain_of[part.name] = chain
        return list({id(chain): chain for chain in chain_of.values()}.values())

    def _extended(self, operator: Vector, chain_of: Mapping[str, list[Vector]]) -> list[Vector]:
        """The chain that `operator` continues, with it; else a chain of its own."""
        if self._spec.fusion == "none":
            return [operator]
        for dep in operator.deps:
            chain = chain_of.get(dep, [])
            if chain and chain[-1].name == dep and self._continues(chain, operator):
                longer = [*chain, operator]
                apart = self._clocks(chain) + self._clocks([operator])
                if self._clocks(longer) <= apart:
                    return longer
        return [operator]

    def _continues(self, chain: Sequence[Vector], operator: Vector) -> bool:
        last = chain[-1]
        if last.phase != operator.phase or last.elements != operator.elements:
            return False
        if "pool" in last.function or "pool" in operator.function:
            return False
        if not set(last.outputs) & set(operator.inputs):
            return False
        # Whoever else waits for a part comes later, so that the stream may stand here.
        here = self._place[operator.name]
        parts = {self._place[part.name] for part in chain}
        return all(
            place >= here or place in parts
            for part in chain
            for place in self._waiting.get(part.name, [])
        )

    def _clocks(self, parts: Sequence[Vector]) -> float:
        return estimated_clocks(self.step(parts), self._trace.tensors, self._spec)

    def step(self, parts: Sequence[Vector]) -> VectorStep:
        """The stream of `parts`: what it runs, reads and writes how often."""
        runs, further = [], 0
        for part in reversed(parts):
            sweeps = self._spec.vector_cost(part.function).sweeps - (part.name in self.counted)
            further += max(0, sweeps - 1)
            runs.append(1 + further)
        runs.reverse()
        made: set[str] = set()
        read: dict[str, int] = {}
        for part, times in zip(parts, runs, strict=True):
            for tensor in part.inputs:
                if tensor not in made:
                    read[tensor] = max(times, read.get(tensor, 0))
            made.update(part.outputs)
        names = {part.name for part in parts}
        written = [
            tensor
            for tensor in dict.fromkeys(name for part in parts for name in part.outputs)
            if self._outside(tensor, names)
        ]
        deps = dict.fromkeys(dep for part in parts for dep in part.deps if dep not in names)
        return VectorStep(
            tuple(parts), tuple(deps), tuple(runs), tuple(read.items()), tuple(written)
        )

    def _outside(self, tensor: str, names: set[str]) -> bool:
        """Whether a tensor made by the operators `names` is for anybody else."""
        found: list[Operator] = self._readers.get(tensor, [])
        return not found or any(operator.name not in names for operator in found)
