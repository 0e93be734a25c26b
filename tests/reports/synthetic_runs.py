"""Results with plausible numbers, built through the result record without any simulator.

The cycle counts follow a weight-stationary array with fill and drain; they are stand-ins for
testing reports and claim nothing about a machine.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparsesim.results import (
    BYTE_STREAMS,
    ENERGY_COMPONENTS,
    STALL_CAUSES,
    EngineResult,
    OperatorResult,
    RunResult,
    write_folder,
)

ROWS = COLS = 32
PEAK = float(ROWS * COLS)
DRAM_BYTES_PER_CYCLE = 364.8
CLOCK_HZ = 200e6


@dataclass(frozen=True)
class Layer:
    """One layer as its forward GEMM: `m` x `k` times `k` x `n`."""

    name: str
    m: int
    k: int
    n: int
    prunable: bool = True


def resnet18(batch: int = 16) -> list[Layer]:
    """The convolutions of a ResNet-18 at 64 x 64 pixels and its classifier."""
    layers = [Layer("conv1", batch * 32 * 32, 147, 64, prunable=False)]
    channels, size = 64, 16
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            stride = 2 if stage > 1 and block == 0 else 1
            size //= stride
            pixels = batch * size * size
            prefix = f"layer{stage}.{block}"
            layers.append(Layer(f"{prefix}.conv1", pixels, channels * 9, width))
            layers.append(Layer(f"{prefix}.conv2", pixels, width * 9, width))
            if stride == 2:
                layers.append(Layer(f"{prefix}.downsample", pixels, channels, width))
            channels = width
    layers.append(Layer("fc", batch, 512, 200))
    return layers


def resnet9(batch: int = 16) -> list[Layer]:
    """The convolutions of a ResNet-9 at 32 x 32 pixels and its classifier."""
    sizes = [(3, 64, 32), (64, 128, 32), (128, 128, 16), (128, 128, 16), (128, 256, 16),
             (256, 512, 8), (512, 512, 4), (512, 512, 4)]  # fmt: skip
    layers = [
        Layer(f"conv{i}", batch * size * size, cin * 9, cout, prunable=i > 0)
        for i, (cin, cout, size) in enumerate(sizes)
    ]
    return [*layers, Layer("fc", batch, 512, 10)]


def deep(count: int = 60) -> list[Layer]:
    """Many layers with long names."""
    return [
        Layer(f"encoder.block{i}.attention.projection", 2048, 256 + 64 * (i % 5), 256)
        for i in range(count)
    ]


def operator(
    name: str, layer: str, phase: str, *, kind: str = "gemm", engine: str = "array",
    start: int = 0, busy: int = 0, stalls: Mapping[str, int] | None = None,
    macs_dense: int = 0, macs_effective: int = 0, byte_counts: Mapping[str, int] | None = None,
    energy_pj: Mapping[str, float] | None = None, pattern: str = "dense",
) -> OperatorResult:  # fmt: skip
    """An operator whose cycles are its busy and stall cycles."""
    causes = {**dict.fromkeys(STALL_CAUSES, 0), **(stalls or {})}
    cycles = busy + sum(causes.values())
    return OperatorResult(
        operator=name,
        layer=layer,
        phase=phase,
        kind=kind,
        engine=engine,
        mapping="ws" if kind == "gemm" else "stream",
        pattern=pattern,
        start_cycle=start,
        end_cycle=start + cycles,
        busy_cycles=busy,
        stall_cycles=causes,
        predicted_cycles=cycles,
        macs_dense=macs_dense,
        macs_effective=macs_effective,
        bytes={**dict.fromkeys(BYTE_STREAMS, 0), **(byte_counts or {})},
        energy_pj={**dict.fromkeys(ENERGY_COMPONENTS, 0.0), **(energy_pj or {})},
    )


def run_result(
    operators: Sequence[OperatorResult],
    *,
    source: str = "net",
    prune: str = "none",
    method: str = "dense",
    phase: str = "training",
    batch: int = 16,
    machine: str = "sat",
    parameters: Mapping[str, Any] | None = None,
    tail_cycles: int = 0,
    provenance: Mapping[str, Any] | None = None,
) -> RunResult:
    """A run of `operators`; every engine idles where it has no operator."""
    total = max(op.end_cycle for op in operators) + tail_cycles
    engines = {}
    for name in ("array", "vector"):
        mine = [op for op in operators if op.engine == name]
        causes = {c: sum(op.stall_cycles[c] for op in mine) for c in STALL_CAUSES}
        busy = sum(op.busy_cycles for op in mine)
        causes["idle"] += total - busy - sum(causes.values())
        engines[name] = EngineResult(busy, causes)
    values = {"rows": ROWS, "cols": COLS, "clock_hz": CLOCK_HZ, "dataflow": "auto"}
    values.update(parameters or {})
    statuses = dict.fromkeys(values, "assumed") | {"dataflow": "published"}
    statuses.update(dict.fromkeys(parameters or {}, "set by user"))
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return RunResult(
        machine={
            "name": machine,
            "family": "sat",
            "sha256": digest,
            "simulator_version": "0.1.0",
            "parameters": values,
            "statuses": statuses,
            "pes": ROWS * COLS,
            "peak_macs_per_cycle": PEAK,
            "dram_bytes_per_cycle": DRAM_BYTES_PER_CYCLE,
            "on_chip_bytes": 10 * 2**20,
        },
        trace={
            "name": source,
            "sha256": hashlib.sha256(f"{source}{prune}{method}".encode()).hexdigest(),
            "provenance": {
                "source": source,
                "prune": prune,
                "method": method,
                "phase": phase,
                "batch": batch,
                "seed": 0,
                "weights": "random",
                "left_dense": {"conv1": "3 channels"},
                "notes": ["BP of a strided convolution counts no inserted zeros"],
                **(provenance or {}),
            },
        },
        fidelity="fast",
        seed=0,
        clock_hz=float(values["clock_hz"]),
        total_cycles=total,
        operators=operators,
        engines=engines,
    )


def training_run(
    source: str,
    layers: Sequence[Layer],
    keep: tuple[int, int] | None = None,
    **facts: Any,
) -> RunResult:
    """A training step; with `keep` = (N, M) the prunable layers are N:M in FF and BP (BDWP)."""
    operators: list[OperatorResult] = []
    clock = 0
    for phase in ("FF", "BP", "WU"):
        for layer in layers if phase == "FF" else layers[::-1]:
            if phase == "BP" and layer is layers[0]:
                continue
            m, k, n = {
                "FF": (layer.m, layer.k, layer.n),
                "BP": (layer.m, layer.n, layer.k),
                "WU": (layer.k, layer.m, layer.n),
            }[phase]
            sparse = keep is not None and layer.prunable and phase != "WU"
            gemm = _gemm(layer.name, phase, m, k, n, keep if sparse else None, clock)
            operators.append(gemm)
            clock = gemm.end_cycle
            elements = layer.m * layer.n if phase != "WU" else layer.k * layer.n
            operators.append(_elementwise(layer.name, phase, elements, clock))
            clock = operators[-1].end_cycle if phase == "FF" else clock
    end = 0
    placed = []
    for op in operators:  # an engine runs one operator at a time
        if op.engine == "vector":
            shift = max(0, end - op.start_cycle)
            op = replace(op, start_cycle=op.start_cycle + shift, end_cycle=op.end_cycle + shift)
            end = op.end_cycle
        placed.append(op)
    if keep is not None:
        facts = {"prune": f"nm:{keep[0]}:{keep[1]}", "method": "bdwp", **facts}
    return run_result(placed, source=source, **facts)


def _gemm(
    layer: str, phase: str, m: int, k: int, n: int, keep: tuple[int, int] | None, start: int
) -> OperatorResult:
    kept, group = keep or (1, 1)
    passes = math.ceil(k / (ROWS * group)) * math.ceil(n / COLS)
    macs = m * k * n * kept // group
    busy = passes * m * kept
    fill = passes * (ROWS + COLS + ROWS * kept)
    streams = {
        "dram_a_read": 2 * m * min(k, n * 4),
        "dram_b_read": 2 * k * n * kept // group,
        "dram_metadata_read": (3 * k * n * kept // group) // 8 if keep else 0,
        "dram_output_write": 2 * m * n,
    }
    moved = sum(streams.values())
    stalls = {
        "fill_drain": fill,
        "bank_conflict": busy // 40 if keep else busy // 200,
        "memory": max(0, int(moved / DRAM_BYTES_PER_CYCLE) - busy - fill),
        "output": passes * 3,
        "dependency": 6,
    }
    energy = {
        "multiply": 1.1 * macs,
        "add": 0.9 * macs,
        "register": 0.6 * macs,
        "scratchpad": 0.5 * macs * (1.4 if keep else 1.0),
        "dram": 20.0 * moved,
    }
    return operator(
        f"{layer}.{phase}", layer, phase, start=start, busy=busy, stalls=stalls,
        macs_dense=m * k * n, macs_effective=macs, byte_counts=streams, energy_pj=energy,
        pattern=f"{kept}:{group}@k" if keep else "dense",
    )  # fmt: skip


def _elementwise(layer: str, phase: str, elements: int, start: int) -> OperatorResult:
    moved = {"dram_a_read": 2 * elements, "dram_output_write": 2 * elements}
    busy = math.ceil(elements / 256)
    memory = max(0, math.ceil(4 * elements / (0.95 * DRAM_BYTES_PER_CYCLE)) - busy)
    function = {"FF": "relu", "BP": "relu_backward", "WU": "sgd"}[phase]
    return operator(
        f"{layer}.{function}", layer, phase, kind="elementwise", engine="vector", start=start,
        busy=busy, stalls={"memory": memory}, byte_counts=moved,
        energy_pj={"vector": 2.0 * elements, "dram": 20.0 * 4 * elements},
    )  # fmt: skip


def stored(result: RunResult, folder: Path) -> Path:
    """Write `result` as a result folder."""
    write_folder(result, folder)
    return folder
