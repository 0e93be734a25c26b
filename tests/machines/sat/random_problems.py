"""Hypothesis strategies: small machines and problems for equality of the cycle cores."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sparsesim.machines.sat.im2col import Image, matrix
from sparsesim.machines.sat.problem import Problem
from sparsesim.machines.sat.spec import SatSpec

DEFAULTS: dict[str, Any] = {
    "clock_hz": 200e6,
    "dataflow": "auto",
    "act_buffer_bytes": 4096,
    "weight_buffer_bytes": 4096,
    "out_buffer_bytes": 4096,
    "dram_bandwidth": 1e9,
    "dram_efficiency": 1.0,
    "dram_latency": 3,
    "vector_lanes": 4,
    "vector_buffer_bytes": 256,
    "node_nm": 16,
    "schedule_slack": 0.01,
    "vector_functions": {"default": {"sweeps": 1, "operations": 2}},
    "dram_channels": 1,
    "dram_interleave_bytes": 256,
    "fusion": "none",
    "sorter_lanes": 2,
    "sorter_entries": 8,
    "sorter_buffer_bytes": 256,
    "weight_reduction": "pregenerated",
    "update_lanes": 2,
    "update_buffer_bytes": 256,
    "update_functions": {"sgd_momentum": {"clocks": 1, "operations": 3}},
}


@st.composite
def specs(draw: st.DrawFn) -> SatSpec:
    """Machines small enough to step."""
    return SatSpec(
        rows=draw(st.integers(1, 5)),
        cols=draw(st.integers(1, 4)),
        m_max=16,
        n_max=8,
        mul_latency=draw(st.integers(1, 2)),
        add_latency=draw(st.integers(1, 4)),
        interleave=draw(st.integers(1, 5)),
        act_banks=draw(st.sampled_from([1, 2, 4, 8])),
        act_bank_bytes=draw(st.sampled_from([2, 4, 8, 16])),
        **DEFAULTS
        | {
            "act_buffer_bytes": draw(st.sampled_from([1024, 2048, 8192])),
            "weight_buffer_bytes": draw(st.sampled_from([1024, 2048])),
            "out_buffer_bytes": draw(st.sampled_from([1024, 2048])),
            "dram_bandwidth": draw(st.sampled_from([0.1e9, 0.7e9, 2e9, 64e9])),
            "dram_latency": draw(st.integers(0, 9)),
        },
    )


@st.composite
def images(draw: st.DrawFn, channel_multiple: int) -> Image:
    """A convolution's image or a plain matrix; channels divisible by the N:M group."""
    channels = channel_multiple * draw(st.integers(1, max(1, 12 // channel_multiple)))
    if draw(st.booleans()):
        return matrix(draw(st.integers(1, 24)), channels)
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    stride = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    padding = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    height = draw(st.integers(1 + dilation[0] * (kernel[0] - 1), 6))
    width = draw(st.integers(1 + dilation[1] * (kernel[1] - 1), 6))
    out_height, out_width = (
        (size + 2 * pad - gap * (taps - 1) - 1) // step + 1
        for size, pad, gap, taps, step in zip(
            (height, width), padding, dilation, kernel, stride, strict=True
        )
    )
    return Image(
        draw(st.integers(1, 2)),
        height,
        width,
        channels,
        channels * draw(st.integers(1, 2)),
        out_height,
        out_width,
        *kernel,
        *stride,
        *padding,
        *dilation,
    )


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """GEMMs with every orientation of the streamed operand and every N:M up to 16."""
    group = draw(st.sampled_from([1, 1, 2, 4, 8, 16]))
    kept = 1 if group == 1 else draw(st.integers(1, min(8, group)))
    transposed = draw(st.booleans())
    image = draw(images(1 if transposed else group))
    m, k = (image.columns, image.rows) if transposed else (image.rows, image.columns)
    if transposed and k % group:
        group, kept = 1, 1
    return Problem(
        m=m,
        n=draw(st.integers(1, 9)),
        k=k,
        groups=draw(st.integers(1, 2)),
        image=image,
        transposed=transposed,
        kept=kept,
        group=group,
        index_bits=group.bit_length() - 1,
    )
