"""The PIUMA machine as a whole: every operator of a trace as a launch of its own.

SpGEMM, SpMM and SpMV run on the kernel that the machine names; the dense products and pointwise
steps of graph networks on kernels of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from sparsesim.energy import energy_pj, moved_energy
from sparsesim.errors import InputError
from sparsesim.machines.operator_time import EngineShare, OperatorTime
from sparsesim.machines.piuma import isa, state
from sparsesim.machines.piuma.counters import (
    chip_cycles,
    details,
    dram_bytes,
    phase_cycles,
    pipeline_cycles,
    series,
)
from sparsesim.machines.piuma.kernels.pointwise import INPUTS, Pointwise
from sparsesim.machines.piuma.kernels.product import Product
from sparsesim.machines.piuma.launch import Launch
from sparsesim.machines.piuma.memory_image import MAX_BYTES
from sparsesim.machines.piuma.simulation import (
    DENSE_KERNELS,
    kernel_name,
    replace_kernel_sampling,
    rows_of,
    run_product,
    sample_product,
)
from sparsesim.machines.piuma.spec import WORD_BYTES, PiumaSpec
from sparsesim.trace import CsrMatrix, Dense, Elementwise, Gemm, SpGemm, Trace

#: Fewest instructions per partial product: two loads, multiply, tag, slot, claim, test, add, and
#: the loop. What `predicted_cycles` assumes at one instruction per pipeline and clock.
FEWEST_INSTRUCTIONS = 10
#: The same with dense B: load and multiply-add; per element of a pointwise step: load, store, loop.
FEWEST_DENSE = 2
FEWEST_POINTWISE = 4


def engines(spec: PiumaSpec) -> tuple[str, ...]:
    """The chip (some pipeline issues) and each of its pipelines."""
    per_core = [f"mtc{number}" for number in range(spec.pipelines)] + [
        f"stc{number}" for number in range(spec.single_pipelines)
    ]
    return ("chip", *(f"core{core}.{name}" for core in range(spec.cores) for name in per_core))


def describe(spec: PiumaSpec) -> dict[str, Any]:
    """Peak rates and sizes of a machine, for results and rooflines."""
    pipelines = spec.cores * (spec.pipelines + spec.single_pipelines)
    return {
        "pes": pipelines,
        "peak_macs_per_cycle": pipelines,
        "dram_bytes_per_cycle": spec.dram_bytes_per_cycle,
        "on_chip_bytes": spec.cores * spec.spad_bytes + pipelines * spec.cache_bytes,
    }


def operator_work(trace: Trace, operator: Any, spec: PiumaSpec, seed: int) -> Product | Pointwise:
    """What an operator computes; dense operands get values from `seed`.

    Raises:
        InputError: an operator without a kernel, or a kernel for the other kind of B.
    """
    rng = np.random.default_rng(seed)
    if isinstance(operator, SpGemm):
        return _sparse_product(trace, operator, spec, rng)
    if isinstance(operator, Gemm):
        return _dense_product(operator, rng)
    if (
        isinstance(operator, Elementwise)
        and INPUTS.get(operator.function) == len(operator.inputs)
        and len(operator.outputs) == 1
    ):
        _check_size(operator.name, operator.elements * (len(operator.inputs) + 1))
        inputs = tuple(rng.standard_normal(operator.elements) for _ in operator.inputs)
        return Pointwise(operator.function, inputs)
    what = f", function {operator.function!r}," if hasattr(operator, "function") else ""
    raise InputError(
        f"operator {operator.name!r}: kind {operator.kind!r}{what} does not run on machine family "
        "'piuma' (it runs spgemm, dense gemm, elementwise relu of one and add of two tensors)"
    )


def _check_size(name: str, words: int) -> None:
    """Refuse what cannot be simulated before its values are drawn."""
    if words * WORD_BYTES > MAX_BYTES:
        raise InputError(
            f"operator {name!r}: needs {words * WORD_BYTES / 2**30:.1f} GiB of simulated memory, "
            f"the limit is {MAX_BYTES / 2**30:.0f} GiB"
        )


def _dense_product(operator: Gemm, rng: np.random.Generator) -> Product:
    for name, operand in (("a", operator.a), ("b", operator.b)):
        if not isinstance(operand.pattern, Dense):
            raise InputError(
                f"operator {operator.name!r}: operand {name} of a gemm has pattern "
                f"{operand.pattern.kind!r}; machine family 'piuma' runs gemm with dense operands"
            )
    if operator.conv is not None or operator.groups != 1:
        what = "a convolution" if operator.conv is not None else f"{operator.groups} groups"
        raise InputError(
            f"operator {operator.name!r}: machine family 'piuma' runs gemm without groups and "
            f"convolutions (this one has {what})"
        )
    m, k = operator.m, operator.k
    _check_size(operator.name, m * k + k * operator.n + m * operator.n)
    indices = np.tile(np.arange(k, dtype=np.int32), m)
    a = CsrMatrix(m, k, np.arange(m + 1) * k, indices, rng.standard_normal(m * k))
    return Product(a, rng.standard_normal((k, operator.n)), dense_a=True)


def _sparse_product(
    trace: Trace, operator: SpGemm, spec: PiumaSpec, rng: np.random.Generator
) -> Product:
    dense = isinstance(operator.b.pattern, Dense)
    fitting = [k for k in ("spmm", "spmv", "smash_v3") if (k in DENSE_KERNELS) == dense]
    if dense != (spec.kernel in DENSE_KERNELS) or (spec.kernel == "spmv" and operator.n != 1):
        what = f"dense B of {operator.n} columns" if dense else "sparse B"
        allowed = (
            ", ".join(k for k in fitting if k != "spmv" or operator.n == 1)
            if dense
            else "inner, outer, rowwise, smash_v1 to smash_v4"
        )
        raise InputError(
            f"operator {operator.name!r}: {what} does not fit kernel={spec.kernel} "
            f"(allowed: {allowed})"
        )
    a = trace.matrix(operator.a.tensor)
    if dense:
        _check_size(operator.name, (operator.k + operator.m) * operator.n)
        return Product(a, rng.standard_normal((operator.k, operator.n)))
    return Product(a, trace.matrix(operator.b.tensor))


def simulate_operators(
    trace: Trace,
    spec: PiumaSpec,
    fidelity: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[OperatorTime]:
    """Simulate each operator of `trace`, in trace order.

    Raises:
        InputError: an operator this machine has no kernel for.
        CheckError: a kernel faulted.
    """
    times = []
    for number, operator in enumerate(trace.operators):
        work = operator_work(trace, operator, spec, seed=0)
        times.append(_operator_time(operator, work, spec, fidelity))
        if progress is not None:
            progress(number + 1, len(trace.operators))
    return times


def _operator_time(
    operator: Any, work: Product | Pointwise, spec: PiumaSpec, fidelity: str
) -> OperatorTime:
    mapping: str = kernel_name(work, spec)
    extra: dict[str, Any] = {}
    simulated, run_spec = work, spec
    if isinstance(work, Product) and 0 < spec.sample_rows < work.rows:
        sampling = sample_product(work, spec, fidelity)
        extra = {"sampling": asdict(sampling)}
        mapping += f", {sampling.rows} of {work.rows} rows"
        rows = np.sort(np.random.default_rng(0).permutation(work.rows)[: sampling.rows])
        simulated = replace(work, a=rows_of(work.a, rows))
        run_spec = replace_kernel_sampling(spec)
    launch = run_product(simulated, run_spec, fidelity)
    if isinstance(simulated, Product):
        products = simulated.partial_products
        macs = simulated.rows * operator.n * operator.k
        dense = not isinstance(simulated.b, CsrMatrix)
        fewest = products * (FEWEST_DENSE if dense else FEWEST_INSTRUCTIONS)
        pattern = f"{operator.a.pattern.kind} x {operator.b.pattern.kind}"
    else:
        products = macs = 0
        fewest = simulated.elements * FEWEST_POINTWISE
        pattern = "dense"
    chip = chip_cycles(launch)
    moved = dram_bytes(launch)
    pipelines = spec.cores * spec.pipelines
    return OperatorTime(
        engine="chip",
        mapping=mapping,
        pattern=pattern,
        cycles=chip.busy + sum(chip.stalls.values()),
        busy_cycles=chip.busy,
        stall_cycles=chip.stalls,
        dram_cycles=0,
        predicted_cycles=-(-fewest // pipelines),
        macs_dense=macs,
        macs_effective=int(launch.arrays["cnt"][state.N_MULTIPLIES]),
        bytes=moved,
        energy_pj=_energy(launch, moved),
        beside=tuple(
            EngineShare(part.name, mapping, part.busy, part.stalls, {})
            for part in pipeline_cycles(launch)
        ),
        details={
            **details(launch),
            **extra,
            "partial_products": products,
            "spans": [
                {"track": "phases of core 0", "name": name, "start": start, "cycles": clocks}
                for name, start, clocks in phase_cycles(launch)
            ],
            "series": series(launch),
        },
    )


def _energy(launch: Launch, moved: dict[str, int]) -> dict[str, float]:
    counted, node = launch.arrays["cnt"], launch.spec.node_nm
    energy = moved_energy(moved, node)
    # FP64: a multiplier grows with the square of its width, an adder with its width.
    energy["multiply"] = int(counted[state.N_MULTIPLIES]) * energy_pj("fp64_multiply", node)
    adds = int(counted[state.N_FLOAT_ADDS]) + int(counted[state.N_OPS + isa.AFADD])
    energy["add"] = adds * energy_pj("fp64_add", node)
    energy["instruction"] = int(counted[state.N_ISSUED]) * energy_pj("instruction", node)
    return energy
