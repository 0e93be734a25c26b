"""Does the machine treat patterns, groups and foreign operators as documented?"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from sparsesim.errors import InputError
from sparsesim.machines.operator_time import OperatorTime
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.model import simulate_operators
from sparsesim.trace import CSR, NM, Balanced, Elementwise, Operand, Operator, SpGemm
from tests.machines.sat.gemm_operators import convolution, gemm, trace_of

SPARSE = NM(n=2, m=8)


def time_of(operator: Operator, **changes: Any) -> OperatorTime:
    """Time of an operator; what the sorter does before it is left out."""
    spec = load_machine("sat", changes).spec
    return simulate_operators(trace_of(operator), spec, "fast")[-1]


def test_two_of_eight_is_nearly_four_times_faster_than_dense() -> None:
    dense = time_of(gemm(4096, 512, 1024))
    sparse = time_of(gemm(4096, 512, 1024, b=SPARSE))
    assert 3.3 < dense.cycles / sparse.cycles <= 4.0
    assert sparse.macs_effective == dense.macs_effective // 4
    assert sparse.macs_dense == dense.macs_dense
    for part in ("multiply", "add", "register"):
        assert sparse.energy_pj[part] < dense.energy_pj[part]


def test_more_bandwidth_is_not_slower() -> None:
    operator = convolution(2, 28, 128, 128, 3, b=SPARSE)
    cycles = [time_of(operator, dram_bandwidth=rate).cycles for rate in (1e9, 4e9, 2e10, 1e11)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] > cycles[-1]


@pytest.mark.parametrize(("pattern", "reason"), [((2, 64), "m_max = 32"), ((2, 6), "power of two")])
def test_unsupported_pattern_is_refused(pattern: tuple[int, int], reason: str) -> None:
    n, m = pattern
    with pytest.raises(InputError, match=reason) as caught:
        time_of(gemm(64, 64, 192, b=NM(n=n, m=m)))
    assert "operator 'gemm'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sparse_gradient_is_indexed_and_weights_stream() -> None:
    """SDGP: the N:M operand is A, so the two change places."""
    sparse_a = time_of(gemm(2048, 256, 512, phase="BP", a=SPARSE))
    mirrored = time_of(gemm(256, 2048, 512, b=SPARSE))
    assert sparse_a.pattern == "2:8"
    assert sparse_a.cycles == mirrored.cycles
    assert sparse_a.bytes == mirrored.bytes
    assert sparse_a.macs_effective == 2048 * 256 * 512 // 4


def test_a_pruned_gradient_image_is_fetched_once() -> None:
    """SDGP of a 3x3 convolution reads compact image lines, not nine copies of each pixel."""
    spec = load_machine("sat").spec
    convolved = convolution(8, 28, 64, 64, 3, a=SPARSE).model_copy(update={"phase": "BP"})
    _select, time = simulate_operators(trace_of(convolved), spec, "fast")
    kept = 8 * 28 * 28 * 64 // 4
    assert 2 * kept <= time.bytes["dram_b_read"] < 1.5 * 2 * kept


def test_of_two_sparse_operands_the_sparser_is_indexed() -> None:
    both = gemm(512, 512, 512, a=NM(n=4, m=8), b=NM(n=1, m=8))
    assert time_of(both).pattern == "1:8"
    assert time_of(gemm(512, 512, 512, a=NM(n=1, m=8), b=NM(n=4, m=8))).pattern == "1:8"


@pytest.mark.parametrize(
    "pattern", [NM(n=2, m=8, axis="n"), NM(n=8, m=8), Balanced(group=8, kept=2)]
)
def test_what_the_reduction_cannot_skip_is_computed_as_dense(pattern: NM | Balanced) -> None:
    """SR-STE's weights in BP have their groups along n; N = M prunes nothing."""
    dense = time_of(gemm(512, 256, 256, phase="BP"))
    assert time_of(gemm(512, 256, 256, phase="BP", b=pattern)) == dense
    assert dense.pattern == "dense"


def test_groups_repeat_the_work() -> None:
    one = time_of(convolution(1, 14, 32, 32, 3, b=SPARSE))
    four = time_of(convolution(1, 14, 32, 32, 3, b=SPARSE, groups=4))
    assert four.macs_effective == 4 * one.macs_effective
    assert four.busy_cycles == 4 * one.busy_cycles
    for stream in ("dram_a_read", "dram_b_read", "dram_metadata_read", "dram_output_write"):
        assert four.bytes[stream] == 4 * one.bytes[stream]
    assert one.cycles < four.cycles <= 4 * one.cycles


@pytest.mark.parametrize("weight_update", [False, True])
def test_depthwise_convolution_on_one_pixel_images(weight_update: bool) -> None:
    time = time_of(convolution(2, 1, 1, 1, 3, groups=8, weight_update=weight_update))
    assert time.macs_dense == time.macs_effective == 8 * 2 * 9
    assert time.cycles == time.busy_cycles + sum(time.stall_cycles.values())
    assert min(time.stall_cycles.values()) >= 0


def test_spgemm_is_refused() -> None:
    pattern = CSR(rows=8, columns=8, nnz=4)
    operator = SpGemm(
        name="product", layer="l", phase="inference", m=8, n=8, k=8, output="c",
        a=Operand(tensor="a", pattern=pattern), b=Operand(tensor="b", pattern=pattern),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"'product'.*'spgemm'.*gemm, elementwise, reduction"):
        time_of(operator)


def elementwise(function: str, elements: int) -> Elementwise:
    return Elementwise(
        name="f", layer="l", phase="FF", function=function, elements=elements,
        inputs=("a",), outputs=("c",),
    )  # fmt: skip


def dram_bytes(time: OperatorTime) -> dict[str, int]:
    return {stream: size for stream, size in time.bytes.items() if stream.startswith("dram_")}


def test_vector_functions_cost_their_sweeps_and_operations() -> None:
    spec = load_machine("sat", {}).spec
    trace = trace_of(elementwise("relu", 2**16), elements=2**16)
    twice = trace_of(elementwise("batch_norm", 2**16), elements=2**16)
    (once,) = simulate_operators(trace, spec, "fast")
    (norm,) = simulate_operators(twice, spec, "fast")
    assert dram_bytes(once) == {"dram_a_read": 2**17, "dram_output_write": 2**17}
    assert dram_bytes(norm) == {"dram_a_read": 2**18, "dram_output_write": 2**17}
    assert norm.busy_cycles == 4 * once.busy_cycles == 4 * 2**16 // spec.vector_lanes


def test_huge_tensors_do_not_overflow() -> None:
    """Bytes times chunks of 10^12 elements exceed 64 bits."""
    spec = load_machine("sat", {"vector_buffer_bytes": 2**24}).spec
    (time,) = simulate_operators(
        trace_of(elementwise("relu", 10**13), elements=10**13), spec, "fast"
    )
    assert time.cycles == time.busy_cycles + sum(time.stall_cycles.values())
    assert min(time.stall_cycles.values()) >= 0
    assert time.cycles >= 4 * 10**13 / spec.dram_bytes_per_clock


@pytest.mark.parametrize("kept", [1, 3])
def test_register_bytes_of_a_block_are_exact(kept: int) -> None:
    """A block of 8 FP16 activations is written once for every `kept` products."""
    time = time_of(gemm(64, 32, 64, b=NM(n=kept, m=8)))
    products = 64 * 32 * 64 // 8 * kept
    assert time.bytes["register_write"] == 4 * products + products // kept * 8 * 2


@pytest.mark.parametrize("m", [2, 4, 8, 16, 32])
def test_every_pattern_runs_and_denser_ones_take_no_less_time(m: int) -> None:
    cycles = [time_of(gemm(256, 64, 256, b=NM(n=n, m=m))).cycles for n in range(1, m + 1)]
    assert all(before <= after for before, after in pairwise(cycles))
    assert cycles[-1] == time_of(gemm(256, 64, 256)).cycles


def test_sparse_passes_take_m_over_n_times_the_activations_per_clock() -> None:
    """Weight-stationary rows: a block of M activations for N clocks."""
    big = {"dataflow": "ws", "dram_bandwidth": 1e13, "act_bank_bytes": 64}
    dense = time_of(gemm(4096, 32, 4096), **big)
    sparse = time_of(gemm(4096, 32, 4096, b=SPARSE), **big)
    rates = [time.bytes["scratchpad_a_read"] / time.busy_cycles for time in (dense, sparse)]
    assert rates[1] / rates[0] == pytest.approx(8 / 2, rel=0.01)
