"""Emitted Verilog of SAT's array, passes that keep every PE busy: clocks per CPU second.

`python -m benchmarks.rtl_cosimulation 8 32` measures square arrays of these sizes: in vector lanes,
and in Verilator those that it builds in a minute.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.measure import best_seconds
from hw.component_ports import port_values
from hw.cosim.compiled import CompiledSimulation
from hw.cosim.lanes.simulation import LaneSimulation
from hw.cosim.verilator import VerilatorSimulation
from hw.sat.stce_program import ArrayPass, Program
from hw.sat.stce_unit import StceUnit
from hw.sat.uspe_stimuli import halves
from hw.verilog import verilog_of
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.array_ports import ArraySpec, ArrayStimulus
from sparsesim.machines.sat.stepped_array import run_array

_GROUP, _KEPT, _ROWS = 8, 2, 256
_PASSES = 4
#: Verilator takes 50 CPU seconds for 64 PEs and a quarter of an hour for 1024.
_MOST_PES_IN_VERILATOR = 64


def run(sizes: Sequence[int] = (8,)) -> dict[str, float]:
    """Measure; keys name the figure and its unit."""
    figures: dict[str, float] = {}
    for size in sizes:
        figures |= _square(size)
    return figures


def _square(size: int) -> dict[str, float]:
    """An array of `size` x `size` PEs, 2:8, weight-stationary; equal to its stepped core."""
    machine = {"rows": size, "cols": size, "m_max": _GROUP, "n_max": _KEPT}
    spec = ArraySpec(
        pe=load_machine("sat", machine).spec.uspe,
        cols=size,
        west_blocks=_ROWS,
        north_entries=_KEPT * size,
        south_words=_ROWS,
    )
    name = f"array RTL, {size} x {size} PEs, 2:8"
    before = _cpu_seconds()
    component = StceUnit.of(spec).component()
    verilog = verilog_of(component, "stce")
    figures = {f"{name}: CPU s to convert": _cpu_seconds() - before}
    simulators: list[type[CompiledSimulation]] = [LaneSimulation]
    if size**2 <= _MOST_PES_IN_VERILATOR:
        simulators.append(VerilatorSimulation)
    for simulator in simulators:
        before = _cpu_seconds()
        with simulator(verilog, "stce", list(port_values(component))) as simulation:
            built = _cpu_seconds() - before
            rate = _clocks_per_second(simulation, spec)
            title = f"{name}, {simulation.name.split()[0]}"
        figures |= {
            f"{title}: k clocks/s": rate / 1e3,
            f"{title}: ns per PE and clock": 1e9 / rate / size**2,
            f"{title}: CPU s to build": built,
        }
    return figures


def _clocks_per_second(simulation: CompiledSimulation, spec: ArraySpec) -> float:
    """Without the clocks that fill the buffers, in which the array is idle."""
    made, filled = _passes(spec)
    clocks = len(made.a_valid)
    reset = simulation.inputs.pack({"rst": np.ones(1, np.uint32)}, 1)
    rows = np.concatenate([reset, simulation.inputs.pack(made._asdict(), clocks)])
    kinds = {name: np.dtype(kind) for name, kind in _VECTORS.items()}
    seen = simulation.outputs.unpack(simulation.run(rows)[1:], kinds)
    for port, expected in run_array(spec, made)._asdict().items():
        if not np.array_equal(np.asarray(seen[port], np.int64), expected.astype(np.int64)):
            raise AssertionError(f"{simulation.name}: RTL and stepped core differ on {port}")
    whole = best_seconds(lambda: simulation.run(rows), 3)
    fill = best_seconds(lambda: simulation.run(rows[: filled + 1]), 3)
    return (clocks - filled) / (whole - fill)


_VECTORS = {"p_valid": np.bool_, "p_value": np.uint32, "o_data": np.uint32}


def _passes(spec: ArraySpec) -> tuple[ArrayStimulus, int]:
    """The same pass, back to back, and the first clock after the buffers are filled."""
    rng = np.random.default_rng(1)
    entries = _KEPT * spec.rows
    one = ArrayPass(
        os=False,
        kept=_KEPT,
        used=1,
        blocks=halves(rng, (spec.rows, _ROWS, _GROUP), True),
        values=halves(rng, (entries, spec.cols), True),
        indices=rng.integers(_GROUP, size=(entries, spec.cols)).astype(np.uint8),
        units=[_ROWS],
        waits=[0],
    )
    program = Program(spec, 1 << 16)
    filled = program.fill(one)
    program.clock = filled
    for _ in range(_PASSES):
        program.run(one, program.clock)
    return program.finish(), filled


def _cpu_seconds() -> float:
    """CPU seconds of this process and of the programs it started so far."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    for figure, value in run([int(size) for size in sys.argv[1:]] or (8,)).items():
        print(f"{figure:70s} {value:12.4g}", flush=True)
