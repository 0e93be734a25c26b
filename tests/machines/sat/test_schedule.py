"""Does the offline schedule fit the chip and predict what the simulation then finds?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.blocks import block_steps
from sparsesim.machines.sat.gemm import simulate_gemm
from sparsesim.machines.sat.im2col import Image
from sparsesim.machines.sat.passes import DATAFLOW_NAMES
from sparsesim.machines.sat.problem import Problem, problem_of
from sparsesim.machines.sat.schedule import choose_schedule
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.trace import NM, Gemm
from tests.machines.sat.gemm_operators import convolution, gemm
from tests.machines.sat.random_problems import DEFAULTS, problems, specs

SPARSE = NM(n=2, m=8)
RESNET_LIKE = {
    "56x56 dense": convolution(4, 56, 64, 64, 3),
    "56x56 2:8": convolution(4, 56, 64, 64, 3, b=SPARSE),
    "56x56 weight update": convolution(4, 56, 64, 64, 3, weight_update=True),
    "28x28 stride 2": convolution(4, 56, 64, 128, 3, 2, b=SPARSE),
    "14x14 1x1": convolution(4, 14, 1024, 256, 1, b=SPARSE),
    "7x7 2:8": convolution(4, 7, 512, 512, 3, b=SPARSE),
    "downsample 1x1 stride 2": convolution(4, 56, 256, 512, 1, 2),
    "stem": convolution(2, 224, 3, 64, 7, 2),
    "stem weight update": convolution(2, 224, 3, 64, 7, 2, weight_update=True),
    "classifier": gemm(4, 1000, 512),
    "1x1 image": convolution(4, 1, 512, 512, 3, b=SPARSE),
    "depthwise": convolution(2, 28, 1, 1, 3, groups=128),
    "depthwise weight update": convolution(2, 28, 1, 1, 3, groups=128, weight_update=True),
}


def predicted_and_simulated(operator: Gemm, spec: SatSpec) -> tuple[int, int]:
    problem = problem_of(operator, spec)
    schedule = choose_schedule(problem, spec, operator.name)
    found = simulate_gemm(problem, schedule, spec, "fast").total_cycles
    return schedule.predicted_cycles, found


@pytest.mark.parametrize("name", RESNET_LIKE)
@pytest.mark.parametrize("dataflow", ["auto", "ws", "os"])
def test_prediction_is_close_where_compute_bounds(name: str, dataflow: str) -> None:
    spec = load_machine("sat", {"dataflow": dataflow}).spec
    predicted, found = predicted_and_simulated(RESNET_LIKE[name], spec)
    assert abs(predicted / found - 1) < 0.05


@pytest.mark.parametrize("name", RESNET_LIKE)
def test_prediction_is_close_where_memory_bounds(name: str) -> None:
    spec = load_machine("sat", {"dram_bandwidth": 2e9}).spec
    predicted, found = predicted_and_simulated(RESNET_LIKE[name], spec)
    assert 0.7 < predicted / found < 1.05


@st.composite
def deep_images(draw: st.DrawFn) -> Problem:
    """Convolutions that do not fit small buffers, so that blocks cut lines and images."""
    kernel, stride = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    size, channels = draw(st.integers(kernel, 28)), draw(st.sampled_from([1, 3, 8, 16, 24]))
    pad = kernel // 2
    out = (size + 2 * pad - kernel) // stride + 1
    image = Image(
        draw(st.integers(1, 3)), size, size, channels, channels, out, out,
        kernel, kernel, stride, stride, pad, pad, 1, 1,
    )  # fmt: skip
    transposed = draw(st.booleans())
    m, k = (image.columns, image.rows) if transposed else (image.rows, image.columns)
    return Problem(m, draw(st.integers(1, 40)), k, 1, image, transposed, 1, 1, 0)


@given(specs(), deep_images() | problems())
@settings(max_examples=200, deadline=None)
def test_every_block_fits_half_of_its_buffer(spec: SatSpec, problem: Problem) -> None:
    try:
        schedule = choose_schedule(problem, spec, "random")
    except InputError:
        assume(False)
    steps = block_steps(problem, schedule)
    assert steps.a_bytes.max() <= spec.act_buffer_bytes // 2
    assert (steps.b_bytes + steps.metadata_bytes).max() <= spec.weight_buffer_bytes // 2
    out = schedule.block_m * schedule.block_n * 4
    assert out <= spec.out_buffer_bytes // 2


@given(deep_images())
@settings(max_examples=60, deadline=None)
def test_no_touched_element_is_left_unfetched(problem: Problem) -> None:
    """DRAM bytes of the streamed operand cover every distinct element the product reads."""
    from sparsesim.machines.sat.im2col import source_pixel

    spec = SatSpec(
        rows=4, cols=4, m_max=16, n_max=8, mul_latency=1, add_latency=2, interleave=2,
        act_banks=4, act_bank_bytes=8, **DEFAULTS,
    )  # fmt: skip
    try:
        schedule = choose_schedule(problem, spec, "random")
    except InputError:
        assume(False)
    image = problem.image
    taps = image.kernel_h * image.kernel_w
    touched = {source_pixel(image, row, tap) for row in range(image.rows) for tap in range(taps)}
    touched.discard(-1)
    fetched = int(block_steps(problem, schedule).a_bytes.sum())
    assert fetched >= 2 * len(touched) * image.channels


@given(specs(), problems(), st.floats(1.0, 100.0))
@settings(max_examples=150, deadline=None)
def test_more_bandwidth_never_predicts_more_cycles(
    spec: SatSpec, problem: Problem, factor: float
) -> None:
    spec = spec.model_copy(update={"schedule_slack": 0.0})
    faster = spec.model_copy(update={"dram_bandwidth": spec.dram_bandwidth * factor})
    try:
        slow = choose_schedule(problem, spec, "random")
    except InputError:
        assume(False)
    assert choose_schedule(problem, faster, "random").predicted_cycles <= slow.predicted_cycles


def test_schedule_avoids_taps_that_share_a_bank() -> None:
    """128 depthwise channels put all nine taps of a pixel in one bank under WS."""
    spec = load_machine("sat", {}).spec
    problem = problem_of(RESNET_LIKE["depthwise"], spec)
    chosen = choose_schedule(problem, spec, "depthwise")
    found = simulate_gemm(problem, chosen, spec, "fast").total_cycles
    for dataflow in ("ws", "os"):
        forced = spec.model_copy(update={"dataflow": dataflow})
        schedule = choose_schedule(problem, forced, "depthwise")
        other = simulate_gemm(problem, schedule, forced, "fast").total_cycles
        assert found <= 1.05 * other


def test_ws_is_refused_where_weights_exceed_the_registers() -> None:
    wide = gemm(64, 64, 128, b=NM(n=6, m=8))
    spec = load_machine("sat", {"dataflow": "ws"}).spec
    with pytest.raises(InputError, match=r"operator 'gemm'.*N <= n_max = 4 for ws") as caught:
        choose_schedule(problem_of(wide, spec), spec, "gemm")
    assert "\n" not in str(caught.value)
    auto = load_machine("sat", {}).spec
    schedule = choose_schedule(problem_of(wide, auto), auto, "gemm")
    assert DATAFLOW_NAMES[schedule.dataflow] == "os"


@pytest.mark.parametrize("buffer", ["act_buffer_bytes", "weight_buffer_bytes", "out_buffer_bytes"])
def test_too_small_buffers_are_refused_in_one_line(buffer: str) -> None:
    tiny = {"act_buffer_bytes": 1024, "weight_buffer_bytes": 1024, "out_buffer_bytes": 1024}
    spec = load_machine("sat", {buffer: tiny[buffer], "m_max": 64}).spec
    operator = gemm(4096, 4096, 4096, b=NM(n=32, m=64))
    if buffer == "out_buffer_bytes":  # one tile of 4 x 32 results fits half of 1 kB
        spec = spec.model_copy(update={"interleave": 8})
    with pytest.raises(InputError, match=f"{buffer} = 1024") as caught:
        choose_schedule(problem_of(operator, spec), spec, "gemm")
    assert "\n" not in str(caught.value)


def test_very_deep_reduction_is_scheduled_without_holding_a_table_of_it() -> None:
    spec = load_machine("sat", {}).spec
    problem = problem_of(gemm(1, 1, 10**8), spec)
    schedule = choose_schedule(problem, spec, "deep")
    steps = block_steps(problem, schedule)
    assert steps.a_bytes.sum() == 2 * 10**8
    assert steps.m.size < 2000


def test_blocks_move_every_operand_once_when_all_fits() -> None:
    spec = load_machine("sat", {}).spec
    problem = problem_of(gemm(256, 128, 512, b=SPARSE), spec)
    steps = block_steps(problem, choose_schedule(problem, spec, "gemm"))
    assert steps.a_bytes.sum() == 256 * 512 * 2
    assert steps.b_bytes.sum() == 128 * 512 // 4 * 2
    assert steps.metadata_bytes.sum() == 128 * 512 // 4 * 3 // 8
    assert steps.store_bytes.sum() == np.int64(256 * 128 * 2)
