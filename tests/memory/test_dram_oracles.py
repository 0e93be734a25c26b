"""Read streams as two public DRAM simulators serve them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparsesim.memory.dram_spec import DramChannel, ddr4_2400
from sparsesim.memory.dram_stream import run_stream

_BESIDE = Path(__file__).parents[3] / "shared" / "data"
ORACLE = Path(os.environ.get("SPARSESIM_DATA", _BESIDE)).parent / "oracles" / "dram_streams.json"

#: tRFC of 360 ns, tREFI of 7.8 us; a buffer of active requests that go first; precharges by age.
RAMULATOR: dict[str, Any] = {
    "rfc": 433,
    "refi": 9364,
    "opener_first": True,
    "early_precharge": True,
}
#: Channels of each simulator's configurations. DRAMsim3 takes one clock in the controller, and has
#: queues of 8 per bank behind its queue of 32.
CHANNELS: dict[str, DramChannel] = {
    "ddr4_row": ddr4_2400(17, "row_bank_group", queue_depth=40, controller_clocks=1),
    "ddr4_bg": ddr4_2400(17, "interleaved", queue_depth=40, controller_clocks=1),
    "DDR4_2400U_RoBaRaCoCh": ddr4_2400(17, "row_bank_group", **RAMULATOR),
    "DDR4_2400U_MOP4CLXOR": ddr4_2400(17, "mop4", **RAMULATOR),
    "DDR4_2400U_ChRaBaRoCo": ddr4_2400(17, "row_bank", **RAMULATOR),
    "DDR4_2400R_RoBaRaCoCh": ddr4_2400(16, "row_bank_group", **RAMULATOR),
}


def cases() -> list[Any]:
    if not ORACLE.is_file():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"no {ORACLE}"))]
    found = json.loads(ORACLE.read_text())["results"]
    return [
        pytest.param(case, id=f"{case['cfg']}-{case['stream']}-{case['window']}") for case in found
    ]


@pytest.fixture(scope="module")
def lines() -> dict[str, np.ndarray]:
    """The first 1 M addresses of the oracle's generator (xorshift64*), and 0, 1, 2, ..."""
    count, mask, state = 1_000_000, 2**64 - 1, 88172645463325252
    random = np.empty(count, np.int64)
    for number in range(count):
        state ^= state >> 12
        state ^= (state << 25) & mask
        state ^= state >> 27
        random[number] = ((state * 2685821657736338717 & mask) >> 11) % 2**27
    return {"random": random, "sequential": np.arange(count)}


@pytest.mark.parametrize("case", cases())
def test_bandwidth_and_latency(case: dict[str, Any], lines: dict[str, np.ndarray]) -> None:
    spec = CHANNELS[case["cfg"]]
    assert case["N"] == 1_000_000
    result = run_stream(spec, lines[case["stream"]], window=case["window"])
    assert result.cycles == pytest.approx(case["cycles"], rel=0.02)
    gigabytes = result.bytes_per_second / 1e9 * (1 / 1.2) / case["tCK_ns"]
    assert gigabytes == pytest.approx(case["GBps"], rel=0.02)
    if case["window"] in (1, 16):  # beyond, latency is what the queues hold
        assert result.latency == pytest.approx(case["avg_lat_cyc"], rel=0.02)
