"""One network on all machines and sparsities; the unit of work of the study."""

from __future__ import annotations

from typing import Any

from reports.s4_study.cases import GROUP, SPARSITIES, Case
from reports.s4_study.patterns import with_pattern
from sparsesim.results.record import RunResult
from sparsesim.trace import NM, Balanced, Gemm, Trace

#: Where the SPUs' clocks go, as the limit plot stacks them.
LIMITS = (
    "sparse products",
    "dense layers",
    "attention",
    "activation bandwidth",
    "drain",
    "DRAM",
    "edges and start-up",
    "vector work and host",
)


def simulate_case(case: Case) -> list[dict[str, Any]]:
    """Rows of the study: machine, sparsity, samples per second, energy, clocks by limit."""
    trace = captured(case)
    rows = []
    for sparsity in SPARSITIES:
        pruned = sparse(trace, sparsity)
        rows.append(_row(case, pruned, "s4", f"balanced:{sparsity}", sparsity))
    for machine in ("t4", "a100", "systolic"):
        rows.append(_row(case, trace, machine, "none", 1))
    rows.append(_row(case, with_pattern(trace, NM(n=2, m=4)), "a100", "nm:2:4", 2))
    return rows


def captured(case: Case) -> Trace:
    """The network without pruning, in inference."""
    from workloads.extract import extract

    return extract(
        case.source,
        prune="none",
        phase="inference",
        batch=case.batch,
        parameters=dict(case.parameters) or None,
    )


def sparse(trace: Trace, sparsity: int) -> Trace:
    """`trace` with balanced weights that keep 1 / `sparsity`; as it is for 1."""
    if sparsity == 1:
        return trace
    return with_pattern(trace, Balanced(group=GROUP, kept=GROUP // sparsity))


def _row(case: Case, trace: Trace, machine: str, prune: str, sparsity: int) -> dict[str, Any]:
    from sparsesim.simulate import run

    result = run(trace, machine)
    row: dict[str, Any] = {
        "network": case.label,
        "family": case.family,
        "limits": case.limits,
        "batch": case.batch,
        "parameters": trace.manifest.provenance["parameters"],
        "machine": machine,
        "prune": prune,
        "sparsity": sparsity,
        "total_cycles": result.total_cycles,
        "samples_per_second": case.batch / result.seconds,
        "energy_mj_per_sample": 1e3 * result.energy_j / case.batch,
        "board_watts": result.machine["board_watts"],
    }
    if machine == "s4":
        row |= {
            f"{limit}_cycles": clocks for limit, clocks in clocks_by_limit(trace, result).items()
        }
    return row


def clocks_by_limit(trace: Trace, result: RunResult) -> dict[str, int]:
    """Clocks of the SPUs by what holds them; they add up to the run's total cycles."""
    static = {
        operator.name: trace.tensors[operator.b.tensor].role == "weight"
        for operator in trace.operators
        if isinstance(operator, Gemm)
    }
    clocks = dict.fromkeys(LIMITS, 0)
    for op in result.operators:
        if op.engine != "spu" or op.operator not in static:
            continue
        if not static[op.operator]:
            clocks["attention"] += op.busy_cycles
        else:
            dense = op.pattern == "dense"
            clocks["dense layers" if dense else "sparse products"] += op.busy_cycles
        clocks["activation bandwidth"] += op.stall_cycles["input"]
        clocks["drain"] += op.stall_cycles["output"]
        clocks["DRAM"] += op.stall_cycles["memory"]
        clocks["edges and start-up"] += op.stall_cycles["imbalance"] + op.stall_cycles["fill_drain"]
    clocks["vector work and host"] = result.total_cycles - sum(clocks.values())
    return clocks
