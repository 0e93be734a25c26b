"""`--check`: the numbers that passes compute, against NumPy bit for bit, and their clocks.

For each GEMM some passes are run on the stepped core with real FP16 values and the trace's real
masks: all passes of a small GEMM, a seeded sample of a large one. Each pass must equal NumPy in
every bit (products and sums in the documented order) and the fast core in every clock. Where all
passes were run, the accumulated result is also compared with a float64 product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsesim.errors import CheckError
from sparsesim.machines.sat.blocks import BlockSteps, block_steps
from sparsesim.machines.sat.fast import pass_outcome
from sparsesim.machines.sat.gemm import block_passes
from sparsesim.machines.sat.issue_sequence import Region
from sparsesim.machines.sat.operands import Operands
from sparsesim.machines.sat.passes import WORDS, PassShape, pass_shape
from sparsesim.machines.sat.problem import Problem, problem_of
from sparsesim.machines.sat.schedule import choose_schedule
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.machines.sat.stepped import run_pass
from sparsesim.trace import Gemm, Trace, unpack

#: PE-clocks stepped per GEMM before sampling begins; about 0.1 s.
BUDGET_PE_CLOCKS = 60_000_000

Float = npt.NDArray[np.float32]


def check_operators(
    trace: Trace,
    spec: SatSpec,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Check every GEMM of `trace`; returns what was compared, by operator.

    Raises:
        CheckError: a pass differs from NumPy or from the fast core.
    """
    gemms = [operator for operator in trace.operators if isinstance(operator, Gemm)]
    compared: dict[str, Any] = {}
    for number, gemm in enumerate(gemms):
        problem = problem_of(gemm, spec)
        operands = Operands(problem, _kept_mask(trace, gemm, problem), seed + number)
        compared[gemm.name] = _check_gemm(gemm.name, problem, operands, spec, seed + number)
        if progress is not None:
            progress(number + 1, len(gemms))
    return {
        "values": "equal to NumPy in every bit",
        "clocks": "stepped equal to fast",
        "passes_checked": sum(entry["passes_checked"] for entry in compared.values()),
        "passes": sum(entry["passes"] for entry in compared.values()),
        "operators": compared,
    }


def _kept_mask(trace: Trace, gemm: Gemm, problem: Problem) -> npt.NDArray[np.bool_] | None:
    """(n, k) mask of the indexed operand of the first group, if the trace has a real one."""
    mask = gemm.a.mask if problem.swapped else gemm.b.mask
    if not problem.sparse or mask is None:
        return None
    return unpack(trace.mask(mask), problem.k)[: problem.n]


def _check_gemm(
    name: str, problem: Problem, operands: Operands, spec: SatSpec, seed: int
) -> dict[str, Any]:
    schedule = choose_schedule(problem, spec, name)
    shape = pass_shape(spec, problem, schedule.dataflow)
    passes = _passes(shape, problem, block_steps(problem, schedule))
    chosen = _sample(shape, problem, passes, spec, np.random.default_rng(seed))
    total = np.zeros((problem.m, problem.n), np.float32)
    for number in chosen:
        region, column = passes[number]
        tiles = operands.tiles(shape, region, column)
        outcome, sums = run_pass(shape, problem.image, region, *tiles)
        _compare_pass(name, shape, problem, region, outcome, sums, *tiles)
        width = min(shape.cols, problem.n - column)
        # The edge adders accumulate pass after pass in FP32.
        total[region.m_first : region.m_last, column : column + width] += sums[:, :width]
    entry: dict[str, Any] = {"passes_checked": len(chosen), "passes": len(passes)}
    if len(chosen) == len(passes):
        exact = operands.a((0, problem.m), (0, problem.k)).astype(np.float64)
        exact = exact @ operands.b((0, problem.k), (0, problem.n))
        scale = float(np.abs(exact).max()) or 1.0
        entry["largest_relative_error_to_float64"] = float(np.abs(total - exact).max()) / scale
        if entry["largest_relative_error_to_float64"] > 1e-3:
            raise CheckError(f"operator {name!r}: result differs from NumPy's float64 product")
    return entry


def _passes(shape: PassShape, problem: Problem, steps: BlockSteps) -> list[tuple[Region, int]]:
    """(region, first column) of every pass of one group, in order."""
    count = steps.m.size // problem.groups
    return [
        (region, column)
        for m, k, n in zip(steps.m[:count], steps.k[:count], steps.n[:count], strict=True)
        for column in range(steps.n_spans[n][0], steps.n_spans[n][1], shape.cols)
        for region in block_passes(shape, steps.m_spans[m], steps.k_spans[k])
    ]


def _sample(
    shape: PassShape,
    problem: Problem,
    passes: list[tuple[Region, int]],
    spec: SatSpec,
    rng: np.random.Generator,
) -> list[int]:
    """Numbers of the passes to run, in order: all of them, or as many as the budget takes."""
    clocks: dict[Region, int] = {}
    spent = 0
    chosen: list[int] = []
    for number in rng.permutation(len(passes)):
        region = passes[number][0]
        if region not in clocks:
            clocks[region] = int(pass_outcome(shape, problem.image, region)[:WORDS].sum())
        spent += clocks[region] * spec.pes
        if chosen and spent > BUDGET_PE_CLOCKS:
            break
        chosen.append(int(number))
    return sorted(chosen)


def _compare_pass(
    name: str,
    shape: PassShape,
    problem: Problem,
    region: Region,
    outcome: npt.NDArray[np.int64],
    sums: Float,
    a_tile: Float,
    weights: Float,
    indices: npt.NDArray[np.int32],
) -> None:
    expected = sequential_sums(a_tile, weights, indices, shape.kept, shape.group)
    if not np.array_equal(sums, expected[: sums.shape[0]]):
        raise CheckError(f"operator {name!r}: pass {tuple(region)} differs from NumPy in value")
    fast = pass_outcome(shape, problem.image, region)
    if not np.array_equal(outcome, fast):
        raise CheckError(
            f"operator {name!r}: pass {tuple(region)}: stepped clocks {outcome.tolist()}, "
            f"fast {fast.tolist()}"
        )


def sequential_sums(
    a_tile: Float, weights: Float, indices: npt.NDArray[np.int32], kept: int, group: int
) -> Float:
    """NumPy reference of a pass: entry after entry, FP32 sums of exact FP16 products.

    Args:
        a_tile: (rows, groups x group). weights, indices: (groups x kept, cols).

    Returns:
        (rows, cols) float32.
    """
    total = np.zeros((a_tile.shape[0], weights.shape[1]), np.float32)
    for entry in range(weights.shape[0]):
        selected = a_tile[:, entry // kept * group + indices[entry]]
        total = total + selected * weights[entry]
    return total
