"""Stepped core against a NumPy loop, fast core against the stepped core, one large GEMM."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import best_seconds, peak_memory_mib
from benchmarks.numpy_array_loop import weight_stationary_pass
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.fast import pass_outcome
from sparsesim.machines.sat.gemm import simulate_gemm
from sparsesim.machines.sat.im2col import matrix
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.operands import Operands
from sparsesim.machines.sat.passes import WORDS, WS, pass_shape
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.schedule import choose_schedule
from sparsesim.machines.sat.stepped import run_pass


def run() -> dict[str, float]:
    """Measure; keys name the figure and its unit."""
    spec = load_machine("sat", {"dataflow": "ws"}).spec
    rows = 2048
    problem = Problem(rows, 32, 256, 1, matrix(rows, 256), False, 2, 8, 3)
    shape = pass_shape(spec, problem, WS)
    region = Region(0, rows, 0, 256)
    tiles = Operands(problem, None, 0).tiles(shape, region, 0)
    outcome, sums = run_pass(shape, problem.image, region, *tiles)
    clocks = int(outcome[:WORDS].sum())
    numpy_clocks, numpy_sums = weight_stationary_pass(shape, *tiles)
    if not np.array_equal(sums, numpy_sums):
        raise AssertionError("the NumPy loop and the stepped core give different sums")
    if not np.array_equal(outcome, pass_outcome(shape, problem.image, region)):
        raise AssertionError("fast and stepped core give different clocks")

    stepped = best_seconds(lambda: run_pass(shape, problem.image, region, *tiles))
    loop = best_seconds(lambda: weight_stationary_pass(shape, *tiles), repeats=2)
    fast = (
        best_seconds(lambda: [pass_outcome(shape, problem.image, region) for _ in range(100)]) / 100
    )
    stepped_rate = clocks * spec.pes / stepped
    return {
        "stepped core, M PE-cycles/s, one core": stepped_rate / 1e6,
        "NumPy array loop, M PE-cycles/s": numpy_clocks * spec.pes / loop / 1e6,
        "stepped / NumPy loop (target 8)": stepped_rate / (numpy_clocks * spec.pes / loop),
        "fast / stepped on the same pass (target 100)": stepped / fast,
        **_large_gemm(),
    }


def _large_gemm() -> dict[str, float]:
    """2:8 GEMM of 4096^3, with a buffer and a DRAM narrow enough to stall."""
    narrow = {"act_banks": 16, "dram_bandwidth": 9.6e9}
    figures = {}
    for label, overrides in (("default machine", {}), ("narrow buffer and DRAM", narrow)):
        spec = load_machine("sat", overrides).spec
        size = 4096
        problem = Problem(size, size, size, 1, matrix(size, size), False, 2, 8, 3)

        def simulate(problem: Problem = problem, spec=spec):  # type: ignore[no-untyped-def]
            return simulate_gemm(problem, choose_schedule(problem, spec, "gemm"), spec, "fast")

        time = simulate()
        stalled = time.stall_cycles["bank_conflict"] + time.stall_cycles["memory"]
        figures[f"GEMM 4096^3 2:8, {label}: seconds (target 0.2)"] = best_seconds(simulate)
        figures[f"GEMM 4096^3 2:8, {label}: simulated Mcycles"] = time.total_cycles / 1e6
        figures[f"GEMM 4096^3 2:8, {label}: bank and memory stalls, % of cycles"] = (
            100 * stalled / time.total_cycles
        )
    figures["peak memory so far, MiB (target 300)"] = peak_memory_mib()
    return figures
