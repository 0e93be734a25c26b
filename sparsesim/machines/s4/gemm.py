"""One GEMM on the chip: the fullest SPU, what L2, ring and DRAM must bring, and both together."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from sparsesim.machines.s4.fast import run_outcome
from sparsesim.machines.s4.filters import Filters
from sparsesim.machines.s4.placement import BatchCut, Placement
from sparsesim.machines.s4.spec import S4Spec
from sparsesim.machines.s4.split import (
    Share,
    Split,
    Work,
    choose_split,
    share_of,
    tile_clocks,
)
from sparsesim.machines.s4.spu import (
    BUSY,
    CLOCKS,
    FILL_DRAIN,
    IMBALANCE,
    INPUT_ACTIVATIONS,
    INPUT_WEIGHTS,
    OUTCOME_COLUMNS,
    OUTPUT,
    Numbers,
    Run,
    SpuShape,
    spu_shape,
)
from sparsesim.machines.s4.stepped import run_spu
from sparsesim.memory import double_buffer
from sparsesim.trace import Gemm, Trace

#: Pieces of an operator whose loads and computation overlap, along rows and along filters.
_ROW_BLOCKS = 16
_FILTER_BLOCKS = 64


@dataclass(frozen=True)
class ChipTime:
    """An operator on all dies, all its parts: clocks of one die, bytes of all."""

    cycles: int
    busy_cycles: int
    stall_cycles: dict[str, int]
    dram_cycles: int
    predicted_cycles: int
    bytes: dict[str, int]
    mapping: str
    limits: dict[str, int]


@dataclass(frozen=True)
class Traffic:
    """Bytes of one part on one die: by origin, and what must come from or go to DRAM."""

    a_bytes: int
    b_bytes: int
    out_bytes: int
    dram_a: int
    dram_b: int
    dram_out: int


def part_of(gemm: Gemm, cut: BatchCut) -> Work:
    """What the largest part of the batch asks for; the batch lies in the rows, or, of products of
    two activations, in the GEMM groups."""
    if gemm.conv is None and gemm.groups > 1:
        return Work(cut.of_part(gemm.groups), gemm.m, gemm.n, gemm.k)
    return Work(gemm.groups, cut.of_part(gemm.m), gemm.n, gemm.k)


def traffic_of(
    trace: Trace,
    gemm: Gemm,
    filters: Filters,
    place: Placement,
    static: frozenset[str],
    produced: frozenset[str],
    spec: S4Spec,
) -> Traffic:
    """Bytes that the largest part of `gemm` reads and writes."""
    cut = place.cut
    element = spec.element_bytes
    a = cut.of_part(trace.tensors[gemm.a.tensor].elements * element)
    out = cut.of_part(trace.tensors[gemm.output].elements * element)
    is_static = gemm.b.tensor in static
    if is_static:
        b = filters.stored_bytes * gemm.groups
        dram_b = round(b * filters.fetched) if place.weights == "dram" else 0
    else:
        b = cut.of_part(gemm.groups * gemm.n * gemm.k * element)
        # A cache that no operator wrote lies in DRAM.
        cached = gemm.b.tensor.split("[")[0] not in produced
        dram_b = b if cached or _root(gemm.b.tensor) in place.in_dram else 0
    return Traffic(
        a, b, out,
        a if _root(gemm.a.tensor) in place.in_dram else 0,
        dram_b,
        out if _root(gemm.output) in place.in_dram else 0,
    )  # fmt: skip


def _root(tensor: str) -> str:
    return tensor.split("[")[0]


def simulate_gemm(
    gemm: Gemm,
    filters: Filters,
    traffic: Traffic,
    place: Placement,
    is_static: bool,
    spec: S4Spec,
    fidelity: str,
) -> ChipTime:
    """Simulate one GEMM with the DRAM to itself; both fidelities give the same result."""
    work = part_of(gemm, place.cut)
    shape = spu_shape(spec, filters.dense)
    weights = traffic.b_bytes if is_static and place.weights != "copied" else 0

    def ring(split: Split) -> float:
        return _ring_bytes(traffic, weights, split, spec) / spec.ring_bytes_per_clock

    split = choose_split(work, filters, shape, spec, ring)
    share = share_of(work, split, spec)
    outcome = fullest_spu(work, filters, shape, share, spec, fidelity)
    computed = int(outcome[CLOCKS].sum())
    l2_bytes = _l2_bytes(gemm, work, filters, split, share, spec)
    l2 = l2_bytes / spec.l2_bytes_per_clock
    onchip = ceil(max(l2, ring(split)))
    tiles = share.groups * share.row_tiles
    # Weights that come from DRAM or over the ring are cut along the filters, as is a single tile of
    # rows.
    cut = traffic.dram_b > 0 or weights > 0 or tiles == 1
    across = min(_FILTER_BLOCKS, share.filter_tiles) if cut else 1
    rows = min(_ROW_BLOCKS, tiles)
    nothing = Traffic(0, 0, 0, 0, 0, 0)
    whole, inside = (
        _with_memory(computed, onchip, moved, rows, across, spec, fidelity)
        for moved in (traffic, nothing)
    )
    issued = int(outcome[BUSY] + outcome[IMBALANCE])
    busy = min(issued, _mean_busy(work, filters, shape, spec))
    parts = place.cut.parts
    stalls = {
        "dependency": 0,
        "input": int(outcome[INPUT_ACTIVATIONS] + outcome[INPUT_WEIGHTS]) + inside - computed,
        "output": int(outcome[OUTPUT]),
        "bank_conflict": 0,
        "memory": whole - inside,
        "imbalance": issued - busy,
        "fill_drain": int(outcome[FILL_DRAIN]) + spec.operator_clocks,
        "idle": 0,
    }
    dram = traffic.dram_a + traffic.dram_b + traffic.dram_out
    ideal = tiles * share.filter_tiles * tile_clocks(filters, shape, min(spec.rows, work.m))
    predicted = max(ideal, onchip, dram / spec.dram_bytes_per_clock) + spec.operator_clocks
    return ChipTime(
        cycles=(whole + spec.operator_clocks) * parts,
        busy_cycles=busy * parts,
        stall_cycles={cause: clocks * parts for cause, clocks in stalls.items()},
        dram_cycles=ceil(dram / spec.dram_bytes_per_clock) * parts,
        predicted_cycles=ceil(predicted) * parts,
        bytes=_bytes(gemm, filters, traffic, l2_bytes, is_static, place.cut, spec),
        mapping=f"{place.weights if is_static else 'local'} {split.label()}"
        + (f" x {parts} parts" if parts > 1 else ""),
        limits={
            "compute": computed * parts,
            "activation_port": int(outcome[INPUT_ACTIVATIONS]) * parts,
            "weight_port": int(outcome[INPUT_WEIGHTS]) * parts,
            "drain": int(outcome[OUTPUT]) * parts,
            "l2": ceil(l2) * parts,
            "ring": ceil(ring(split)) * parts,
            "dram": ceil(dram / spec.dram_bytes_per_clock) * parts,
        },
    )


def fullest_spu(
    work: Work,
    filters: Filters,
    shape: SpuShape,
    share: Share,
    spec: S4Spec,
    fidelity: str,
) -> Numbers:
    """Outcome of the SPU that is done last."""
    rows_used, lap, regular = _row_tiles(work, share, spec)
    worst = np.zeros(OUTCOME_COLUMNS, np.int64)
    seen: set[bytes] = set()
    for first in range(0, filters.cols_used.size, share.filter_tiles):
        tiles = slice(first, first + share.filter_tiles)
        run = Run(
            rows_used, lap, regular,
            filters.cols_used[tiles], filters.steps[tiles], filters.pairs[tiles],
        )  # fmt: skip
        key = run.steps.tobytes() + run.pairs.tobytes()
        if key in seen:
            continue
        seen.add(key)
        run = _flattened(run)
        outcome = run_outcome(shape, run) if fidelity == "fast" else _stepped(shape, run)
        if outcome[CLOCKS].sum() > worst[CLOCKS].sum():
            worst = outcome
    return worst


def _row_tiles(work: Work, share: Share, spec: S4Spec) -> tuple[Numbers, int, int]:
    """Live rows of the fullest SPU's row tiles, after how many they repeat, and up to which."""
    one = np.full(share.row_tiles, min(spec.rows, work.m), np.int64)
    short = work.m - (share.row_tiles - 1) * spec.rows
    if short >= spec.rows or share.row_tiles == 1:
        one[-1] = min(spec.rows, short)
        return np.tile(one, share.groups), 1, share.groups * share.row_tiles
    one[-1] = short
    if share.groups == 1:
        return one, 1, share.row_tiles - 1
    return np.tile(one, share.groups), share.row_tiles, share.groups * share.row_tiles


def _flattened(run: Run) -> Run:
    """The same run with equal filter tiles taken as more row tiles: they repeat sooner."""
    tiles = run.cols_used.size
    alike = (
        tiles > 1
        and (run.cols_used == run.cols_used[0]).all()
        and (run.steps == run.steps[0]).all()
        and (run.pairs == run.pairs[0]).all()
        and (run.rows_used == run.rows_used[0]).all()
    )
    if not alike:
        return run
    rows = np.repeat(run.rows_used, tiles)
    return Run(rows, 1, rows.size, run.cols_used[:1], run.steps[:1], run.pairs[:1])


def _stepped(shape: SpuShape, run: Run) -> Numbers:
    """The stepped core on zeros: its clocks do not depend on values."""
    zero = np.zeros(1, np.int32)
    steps = int(run.steps.sum())
    outcome, _ = run_spu(
        shape, run,
        np.zeros((shape.rows, run.steps.shape[1] * shape.group), np.int32),
        np.zeros((steps, shape.cols), np.int32),
        np.zeros((steps, shape.cols), np.int16),
        zero,
    )  # fmt: skip
    return outcome


def _mean_busy(work: Work, filters: Filters, shape: SpuShape, spec: S4Spec) -> int:
    """Busy clocks of an average SPU: what the fullest one has beyond them is imbalance."""
    even = -(-filters.pairs // filters.cols_used[:, np.newaxis])
    useful = np.where(filters.steps == 1, 1, np.minimum(even, filters.steps))
    tiles = work.groups * ceil(work.m / spec.rows)
    return ceil(int(useful.sum()) * tiles * shape.step_clocks / (spec.cores * spec.spus))


def _ring_bytes(traffic: Traffic, weights: int, split: Split, spec: S4Spec) -> float:
    """Bytes a core's link carries: rows that other filters' cores need, and weights on their way.

    Each core has its share of weights and activations and gets what it lacks of what it needs.
    """
    of_filters = split.core_filters
    missing = 1.0 - 1.0 / of_filters
    gathered = missing * traffic.a_bytes / (split.core_groups * split.core_rows)
    handed_on = missing * traffic.out_bytes / spec.cores
    lacking = weights / of_filters - weights / spec.cores
    return gathered + handed_on + max(0.0, lacking)


def _l2_bytes(
    gemm: Gemm, work: Work, filters: Filters, split: Split, share: Share, spec: S4Spec
) -> int:
    """Bytes a core's L2 reads and takes for one part.

    A tile of rows is fetched into L1 once if it fits half of it, else once per filter tile; SPUs
    on the same rows share the fetch, SPUs on the same filters share the weight stream.
    """
    fill = _row_tile_bytes(gemm, work, spec)
    reloads = 1 if fill <= spec.l1_bytes // 2 else share.filter_tiles
    tiles = share.groups * share.row_tiles
    acts = tiles * split.spu_groups * split.spu_rows * fill * reloads
    stored = filters.stored_bytes / filters.cols_used.size * share.filter_tiles
    weights = tiles * split.spu_groups * split.spu_filters * stored
    results = tiles * share.filter_tiles * min(spec.rows, work.m) * min(spec.cols, work.n)
    return ceil(acts + weights + results * spec.spus * spec.element_bytes)


def _row_tile_bytes(gemm: Gemm, work: Work, spec: S4Spec) -> int:
    """Bytes of the pixels that one tile of rows reads: taps of neighbours overlap."""
    rows = min(spec.rows, work.m)
    expanded = rows * work.k
    if gemm.conv is not None:
        conv = gemm.conv
        width = (rows - 1) * conv.stride[1] + (conv.kernel[1] - 1) * conv.dilation[1] + 1
        expanded = min(expanded, conv.kernel[0] * width * conv.channels)
    return expanded * spec.element_bytes


def _with_memory(
    computed: int,
    onchip: int,
    traffic: Traffic,
    rows: int,
    across: int,
    spec: S4Spec,
    fidelity: str,
) -> int:
    """Clocks of an operator whose blocks are loaded, computed and stored in turn, double-buffered.

    Each of `rows` blocks of rows is computed in `across` pieces, one for each block of filters.
    Weights that come from DRAM do so during the first block of rows; later ones find them on chip.
    The rows of a block come before its first piece, all but the first's while others are computed.
    """
    pieces = rows * across
    rate = spec.dram_bytes_per_clock
    loads = np.zeros(pieces)
    loads[:across] += traffic.dram_b / across
    loads[0] += traffic.dram_a / rows
    loads[: pieces - across] += traffic.dram_a / pieces
    even = np.full(pieces, 1.0 / pieces)
    model = double_buffer.fast if fidelity == "fast" else double_buffer.stepped
    outcome = model(
        np.maximum(_clocks(loads / rate), _clocks(onchip * even)),
        _clocks(computed * even),
        _clocks(traffic.dram_out / rate * even),
        1.0,
        spec.dram_latency if traffic.dram_a + traffic.dram_b + traffic.dram_out else 0,
    )
    return int(outcome[double_buffer.TOTAL])


def _clocks(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Numbers:
    """Whole clocks of each piece, with the sum rounded up once."""
    ends = np.ceil(np.cumsum(shares) - 1e-6)
    return np.diff(ends, prepend=0.0).astype(np.int64)


def _bytes(
    gemm: Gemm,
    filters: Filters,
    traffic: Traffic,
    l2_bytes: int,
    is_static: bool,
    cut: BatchCut,
    spec: S4Spec,
) -> dict[str, int]:
    """Bytes of the board: activations of all samples, weights as often as the trace is run."""
    times = cut.batch / cut.part_samples
    macs = gemm.groups * gemm.m * filters.nonzeros
    index_share = filters.index_bytes / max(1, filters.stored_bytes)
    row_tiles = ceil(gemm.m / spec.rows)
    streamed = gemm.groups * row_tiles
    live_groups = int((filters.steps > 0).sum())
    element = spec.element_bytes
    dram_b = round(traffic.dram_b * (cut.runs if is_static else times))
    return {
        "dram_a_read": round(traffic.dram_a * times),
        "dram_b_read": dram_b - round(dram_b * index_share),
        "dram_metadata_read": round(dram_b * index_share),
        "dram_output_write": round(traffic.dram_out * times),
        "scratchpad_fill_write": round(l2_bytes * spec.cores * times),
        "scratchpad_a_read": gemm.groups * gemm.m * live_groups * spec.group * element,
        "scratchpad_b_read": streamed * filters.value_bytes,
        "scratchpad_metadata_read": streamed * filters.index_bytes,
        "scratchpad_output_write": gemm.groups * gemm.m * gemm.n * element,
        "register_read": macs * (2 * element + 4),
        "register_write": macs * 4,
    }
