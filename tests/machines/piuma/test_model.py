"""The machine behind `sparsesim run`: results, details, refusals, sampling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparsesim.errors import CheckError, InputError
from sparsesim.machines.piuma.check import check_result
from sparsesim.machines.piuma.kernels.pointwise import Pointwise
from sparsesim.machines.piuma.model import operator_work
from sparsesim.machines.piuma.simulation import run_product
from sparsesim.machines.registry import load_machine
from sparsesim.results import read_folder, write_folder
from sparsesim.results.timeline_events import timeline_events
from sparsesim.simulate import run
from sparsesim.trace import Elementwise, Gemm, Trace
from tests.machines.piuma.small_products import machine, matrix
from tests.trace.small_traces import small_trace
from workloads.matrices.gnn import GnnShape, gnn_trace
from workloads.matrices.product_trace import spgemm_trace, spmm_trace

SMALL = {"spad_bytes": 16384, "pipelines": 2, "threads": 4}


def trace() -> Trace:
    return spgemm_trace("p", matrix(40, 40, 0.1, 1), matrix(40, 30, 0.1, 2))


def test_a_checked_run_adds_up(tmp_path: Path) -> None:
    result = run(trace(), "piuma", overrides=SMALL, check=True)
    result.check_accounting()
    products = trace().manifest.provenance["partial_products"]
    summary = result.summary()
    assert summary["macs_effective"] == products
    assert summary["macs_dense"] == 40 * 30 * 40
    assert set(summary["engines"]) == {
        "chip", "core0.mtc0", "core0.mtc1", "core0.stc0", "core0.stc1"
    }  # fmt: skip
    assert result.check is not None
    assert result.check["operators"]["product"]["stepped_equal_to_fast"]

    write_folder(result, tmp_path / "r")
    stored = read_folder(tmp_path / "r")
    details = stored.details["product"]
    assert details["multiplies"] == products
    assert details["cycles"] == result.total_cycles
    assert details["instructions"] == sum(details["instructions_by_kind"].values())
    assert len(details["thread_utilisation"]) == 8
    assert all(0 <= share <= 1 for share in details["thread_utilisation"])
    assert sum(details["phases"].values()) == result.total_cycles - details["spans"][0]["start"]
    assert sum(details["dram_words_by_core"]) == details["dram_words"]
    # Atomics in DRAM count twice on the pins; this kernel's are in the scratchpad.
    assert summary["dram_bytes"] == 8 * details["dram_words"]


def test_the_timeline_shows_phases_and_rates() -> None:
    result = run(trace(), "piuma", overrides=SMALL)
    events = timeline_events(result)["traceEvents"]
    spans = [event for event in events if event["ph"] == "X" and "cat" not in event]
    assert {"plan", "hash"} <= {event["name"] for event in spans}
    counters = [event for event in events if event["ph"] == "C"]
    assert {event["name"] for event in counters} >= {"ipc", "dram_utilisation"}
    assert max(event["ts"] for event in counters) < result.total_cycles
    json.dumps(events)


def test_both_fidelities_give_the_same_result() -> None:
    fast, stepped = (
        run(trace(), "piuma", overrides={**SMALL, "cores": 2}, fidelity=fidelity)  # type: ignore[arg-type]
        for fidelity in ("fast", "stepped")
    )
    assert {**fast.summary(), "fidelity": ""} == {**stepped.summary(), "fidelity": ""}
    assert fast.operators[0].details == stepped.operators[0].details


def test_dense_operands() -> None:
    spmm = spmm_trace("p", matrix(20, 15, 0.2, 3), 6)
    result = run(spmm, "piuma", overrides={**SMALL, "kernel": "spmm"}, check=True)
    assert result.summary()["macs_effective"] == spmm.manifest.provenance["partial_products"]
    spmv = spmm_trace("p", matrix(20, 15, 0.2, 3), 1)
    run(spmv, "piuma", overrides={**SMALL, "kernel": "spmv"}, check=True)


@pytest.mark.parametrize(
    ("make", "overrides", "message"),
    [
        (trace, {"kernel": "spmm"}, "sparse B does not fit kernel=spmm .*smash_v1"),
        (lambda: spmm_trace("p", matrix(4, 4, 0.5, 1), 3), {}, "dense B of 3 columns .*spmm"),
        (
            lambda: spmm_trace("p", matrix(4, 4, 0.5, 1), 3),
            {"kernel": "spmv"},
            r"dense B of 3 columns does not fit kernel=spmv \(allowed: spmm\)",
        ),
        (trace, {"kernel": "smash_v9"}, "kernel: .*smash_v4"),
        (trace, {"threads": 3}, "threads must be a power of two"),
        (trace, {"pipelines": 5}, "pipelines x threads must not exceed 64"),
        (trace, {"window_slots": 100}, "window_slots must be 0 or a power of two"),
        (trace, {"cores": 65}, "cores: .*less than or equal to 64"),
        (trace, {"dram_trefi": 100}, "must exceed dram_trfc"),
        (trace, {"cache_bytes": 64, "cache_ways": 4}, "at least one set"),
        (trace, {"cache_bytes": 2**40}, "cache_bytes: .*less than or equal to"),
        (trace, {"spad_bytes": 2**40}, "spad_bytes: .*less than or equal to"),
        (trace, {"dram_row_bytes": 2**40}, "dram_row_bytes: .*less than or equal to"),
        (trace, {"dram_trefi": 10**20}, "dram_trefi: .*less than or equal to"),
    ],
)
def test_refusals(make: Any, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        run(make(), "piuma", overrides=overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "operators"), [("gcn", 5), ("sage", 9)])
def test_a_graph_network_runs_whole(kind: str, operators: int) -> None:
    """Sparse and dense products and pointwise steps; each checked, and stepped equal to fast."""
    network = gnn_trace("g", matrix(30, 30, 0.15, 7), GnnShape(kind, (6, 9, 3)))
    result = run(network, "piuma", overrides={**SMALL, "kernel": "spmm"}, check=True)
    result.check_accounting()
    assert result.check is not None
    checked = result.check["operators"]
    assert len(checked) == operators
    assert all(entry["stepped_equal_to_fast"] for entry in checked.values())
    rows = [row for row in result.operators if not row.is_share]
    kernels = {row.kind: row.details["kernel"] for row in rows}
    assert kernels == {"gemm": "gemm", "spgemm": "spmm", "elementwise": "pointwise"}
    for row in rows:
        if row.kind == "gemm":
            assert row.macs_effective == row.macs_dense == row.details["multiplies"] > 0
        if row.kind == "elementwise":
            assert row.macs_effective == 0


def test_a_wrong_pointwise_result_is_found() -> None:
    work = Pointwise("add", (np.arange(9.0), np.ones(9)))
    launch = run_product(work, machine("spmm"))
    check_result("c", launch, work)
    launch.image.floats_of("C_VAL")[4] += 1e-12
    with pytest.raises(CheckError, match="differs from NumPy"):
        check_result("c", launch, work)


def test_other_operators_are_refused() -> None:
    with pytest.raises(InputError, match=r"machine family 'piuma'") as caught:
        run(small_trace(), "piuma")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"m": 2**20, "k": 2**20}, "8192.0 GiB of simulated memory"),
        ({"groups": 2}, "gemm without groups and convolutions .*2 groups"),
        ({"b": {"tensor": "w", "pattern": {"kind": "unstructured", "density": 0.5}}},
         "operand b of a gemm has pattern 'unstructured'"),
    ],
)  # fmt: skip
def test_other_gemms_are_refused(change: dict[str, Any], message: str) -> None:
    record = {
        "name": "g", "layer": "l", "phase": "inference", "m": 4, "n": 3, "k": 2,
        "a": {"tensor": "x"}, "b": {"tensor": "w"}, "output": "y", **change,
    }  # fmt: skip
    spec = load_machine("piuma").spec
    with pytest.raises(InputError, match=message):
        operator_work(small_trace(), Gemm.model_validate(record), spec, 0)


def test_other_functions_are_refused() -> None:
    gelu = Elementwise(
        name="e", layer="l", phase="inference", function="gelu", elements=3, inputs=("x",),
        outputs=("y",),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"function 'gelu', does not run .*elementwise relu"):
        operator_work(small_trace(), gelu, load_machine("piuma").spec, 0)


def test_too_much_memory_is_refused() -> None:
    wide = spgemm_trace("p", matrix(4, 4, 0.5, 1), matrix(4, 12_000_000, 1e-6, 2))
    with pytest.raises(InputError, match="GiB of simulated memory"):
        run(wide, "piuma", overrides={"kernel": "rowwise"})


def test_sampling_is_declared_and_near_the_whole() -> None:
    big = spgemm_trace("p", matrix(400, 200, 0.05, 1), matrix(200, 200, 0.05, 2))
    overrides = {**SMALL, "kernel": "rowwise"}
    whole = run(big, "piuma", overrides=overrides).total_cycles
    sampled = run(big, "piuma", overrides={**overrides, "sample_rows": 160})
    estimate = sampled.operators[0].details["sampling"]
    assert "160 of 400 rows" in sampled.operators[0].mapping
    assert estimate["rows"] == 160
    assert abs(estimate["estimate"] - whole) < 0.25 * whole
    assert 0 < estimate["standard_error"] < 0.2 * whole
    assert sampled.total_cycles < whole


def test_every_parameter_is_used() -> None:
    """A parameter that changes nothing is a lie: each must move the clocks of a run."""
    base: dict[str, Any] = {**SMALL, "cores": 2, "kernel": "smash_v3", "cache_bytes": 1024}
    base |= {"dram_row_bytes": 64, "dram_banks": 2}
    base |= {"dram_trefi": 0}  # a refresh lets everybody catch up and hides small delays
    big = spgemm_trace("p", matrix(60, 60, 0.15, 1))
    cycles = run(big, "piuma", overrides=base).total_cycles
    changed = {
        "issue_cycles": 7, "single_issue_cycles": 2, "cache_bytes": 256, "cache_line_bytes": 8,
        "cache_ways": 1, "cache_cycles": 5, "cache_inputs": False, "spad_banks": 1,
        "spad_cycles": 20, "atomic_cycles": 9, "dram_channels": 1, "dram_banks": 1,
        "dram_row_bytes": 1024, "dram_burst": 9, "dram_trcd": 30, "dram_tcl": 30, "dram_trp": 40,
        "dram_trefi": 900, "dram_path_cycles": 90, "interleave_bytes": 128,
        "dma_start_cycles": 40, "dma_beat_bytes": 8, "dma_beat_cycles": 9,
        "queue_latency": 30, "barrier_cycles": 60, "hop_cycles": 9, "network_cycles": 30,
        "link_cycles": 9,
    }  # fmt: skip
    for key, value in changed.items():
        assert run(big, "piuma", overrides={**base, key: value}).total_cycles != cycles, key


def test_a_slow_queue_delays_rows() -> None:
    big = spgemm_trace("p", matrix(60, 60, 0.15, 1))
    fast, slow = (
        run(big, "piuma", overrides={**SMALL, "kernel": "rowwise", "queue_cycles": cycles})
        for cycles in (1, 60)
    )
    waits = [one.operators[0].details["queue_wait_cycles"] for one in (fast, slow)]
    assert 0 <= waits[0] < waits[1]


def test_the_shipped_machine_is_one_core_of_sixty_six_threads() -> None:
    spec = load_machine("piuma").spec
    assert spec.cores * (spec.threads_per_core + spec.single_pipelines) == 66
    assert np.isclose(spec.dram_bytes_per_cycle * spec.clock_hz, 32e9)
