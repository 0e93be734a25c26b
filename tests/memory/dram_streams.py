"""Random channels and streams of requests that are small enough to step clock by clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from sparsesim.memory.dram_spec import DramChannel, DramTiming
from sparsesim.memory.dram_stream import Flags, Numbers


@dataclass(frozen=True, eq=False)
class Stream:
    """A channel, and what is sent to it."""

    spec: DramChannel
    lines: Numbers
    writes: Flags
    arrivals: Numbers
    window: int


@st.composite
def channels(draw: st.DrawFn) -> DramChannel:
    def clocks(high: int, low: int = 1) -> int:
        return draw(st.integers(low, high))

    bl = clocks(5)
    ccd_s, rrd_s, wtr_s = clocks(bl + 3, bl), clocks(6), clocks(5)
    timing = {
        "cl": clocks(12), "cwl": clocks(12), "bl": bl, "rcd": clocks(12), "rp": clocks(12),
        "ras": clocks(25), "rtp": clocks(8), "wr": clocks(12), "ccd_s": ccd_s,
        "ccd_l": clocks(ccd_s + 4, ccd_s), "rrd_s": rrd_s, "rrd_l": clocks(rrd_s + 4, rrd_s),
        "faw": clocks(40), "wtr_s": wtr_s, "wtr_l": clocks(wtr_s + 6, wtr_s),
        "rtw_gap": clocks(3, 0), "rfc": clocks(60),
    }  # fmt: skip
    least = timing["rfc"] + 2 * sum(timing[key] for key in ("ras", "rp", "cl", "cwl", "bl", "wr"))
    timing["refi"] = least + clocks(400)
    return DramChannel(
        clock_hz=1e9,
        access_bytes=32,
        bank_groups=draw(st.sampled_from([1, 2, 4])),
        banks_per_group=draw(st.sampled_from([1, 2, 4])),
        row_lines=draw(st.sampled_from([4, 8, 16])),
        rows=draw(st.sampled_from([1, 4, 64])),
        timing=DramTiming(**timing),
        mapping=draw(st.sampled_from(["row_bank_group", "row_bank", "interleaved", "mop4"])),
        queue_depth=draw(st.sampled_from([1, 2, 5, 32])),
        controller_clocks=draw(st.integers(0, 3)),
        opener_first=draw(st.booleans()),
        early_precharge=draw(st.sampled_from([False, False, True])),
        row_hit_limit=draw(st.sampled_from([0, 0, 1, 3])),
    )


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    spec = draw(channels())
    count = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["random", "sequential", "few rows", "runs"]))
    if kind == "random":
        lines = rng.integers(spec.lines, size=count)
    elif kind == "sequential":
        lines = (np.arange(count) + int(rng.integers(spec.lines))) % spec.lines
    elif kind == "few rows":
        lines = rng.choice(rng.integers(spec.lines, size=3), size=count)
    else:
        lines = (
            np.repeat(rng.integers(spec.lines, size=count), 4)[:count] + np.arange(count) % 4
        ) % (spec.lines)
    writes = rng.random(count) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    gaps = rng.integers(draw(st.sampled_from([1, 4, 300])), size=count)
    window = draw(st.sampled_from([0, 1, 2, 16]))
    return Stream(spec, lines.astype(np.int64), writes, np.cumsum(gaps).astype(np.int64), window)
