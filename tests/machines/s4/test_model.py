"""The board on small networks: fast == stepped, placement, mappings, host, fusion, streaming."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.simulate import run
from sparsesim.trace import Trace
from workloads.extract import extract


class Encoder(nn.Module):
    """One attention block and a perceptron, with every kind of step that the board has."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(64, 64) for _ in range(3))
        self.up, self.down = nn.Linear(64, 128), nn.Linear(128, 64)
        self.norm = nn.LayerNorm(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (part(x) for part in (self.q, self.k, self.v))
        x = self.norm(x + nn.functional.scaled_dot_product_attention(q, k, v))
        return x + self.down(nn.functional.gelu(self.up(x)))


class Convolutions(nn.Module):
    """A stem of 3 channels, a strided and a depthwise convolution, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.strided = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(64)
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.strided(torch.relu(self.stem(x)))))
        return self.fc(self.depthwise(x).mean((2, 3)))


def encoder() -> tuple[nn.Module, tuple[Any, ...]]:
    return Encoder(), (torch.zeros(8, 48, 64),)


def convolutions() -> tuple[nn.Module, tuple[Any, ...]]:
    return Convolutions(), (torch.zeros(8, 3, 20, 20),)


def wide() -> tuple[nn.Module, tuple[Any, ...]]:
    layers = OrderedDict(first=nn.Linear(256, 256), linear=nn.Linear(256, 1024))
    return nn.Sequential(layers), (torch.zeros(1536, 256),)


def trace_of(network: str, prune: str = "balanced:8") -> Trace:
    trace = extract(f"{__name__}:{network}", prune=prune, phase="inference", batch=8)
    trace.manifest.provenance["batch"] = 8
    return trace


@pytest.mark.parametrize("network", ["encoder", "convolutions"])
@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"precision": "bf16"},
        {"mapping": "rotate"},
        {"resident_weights": False},
        {"dies": 3, "stream_chunks": 1},
        {"l2_bytes": 8192},
        {"weight_port_bytes": 20, "act_port_bytes": 64, "drain_results": 8},
        {"dram_bandwidth": 1e9, "l2_bytes": 30000, "noc_bytes_per_clock": 2},
    ],
)
def test_fast_run_equals_stepped_run(network: str, overrides: dict[str, Any]) -> None:
    trace = trace_of(network)
    fast, stepped = (run(trace, "s4", overrides=overrides, fidelity=f) for f in ("fast", "stepped"))
    assert fast.operators == stepped.operators
    assert fast.total_cycles == stepped.total_cycles
    lanes = fast.machine["peak_macs_per_cycle"]
    macs = sum(op.macs_effective for op in fast.operators if op.engine == "spu")
    assert macs <= lanes * fast.engines["spu"].busy_cycles


def test_a_pruned_depthwise_convolution_is_no_slower_than_a_dense_one() -> None:
    trace = trace_of("convolutions", prune="unstructured:0.5")
    pruned = next(op for op in run(trace, "s4", pad=True).operators if op.operator == "depthwise")
    assert pruned.pattern != "dense"
    assert pruned.engine == "vpu"
    dense = by_name(trace_of("convolutions"))["depthwise"]
    assert dense.pattern == "dense"
    waited = pruned.stall_cycles["dependency"]
    assert pruned.cycles - waited <= dense.cycles - dense.stall_cycles["dependency"]


def by_name(trace: Trace, **overrides: Any) -> dict[str, Any]:
    return {op.operator: op for op in run(trace, "s4", overrides=overrides).operators}


def test_steps_land_on_their_engines_and_fused_ones_cost_nothing() -> None:
    ops = by_name(trace_of("convolutions"))
    assert ops["host.input"].engine == ops["host.output"].engine == "host"
    fused = [op for op in ops.values() if op.mapping.startswith("fused into")]
    assert {op.kind for op in fused} == {"elementwise"}
    assert len(fused) == 3  # two ReLUs and the batch norm
    assert all(op.cycles == 0 for op in fused)
    assert ops["depthwise"].engine == "vpu"  # 64 filters of their own: one lane column each
    assert by_name(trace_of("encoder"))["attention.softmax"].engine == "sfu"


def test_rotation_moves_weights_on_the_ring_and_broadcast_copies_none() -> None:
    trace = trace_of("encoder")
    copied, shared = (by_name(trace, mapping=mapping) for mapping in ("broadcast", "rotate"))
    assert copied["q"].details["limits"]["ring"] == 0
    assert shared["q"].details["limits"]["ring"] > 0
    slow = by_name(trace, mapping="rotate", noc_bytes_per_clock=0.01)
    assert slow["q"].stall_cycles["input"] > shared["q"].stall_cycles["input"]


def test_the_first_filters_wait_for_the_ring_and_the_others_do_not() -> None:
    """Weights that rotate are used filter tile by filter tile, as they come."""
    trace = trace_of("wide", prune="balanced:2")
    linear = by_name(trace, mapping="rotate", noc_bytes_per_clock=16)["linear"]
    limits = linear.details["limits"]
    assert limits["compute"] > limits["ring"] > 0.4 * limits["compute"]
    waited = linear.stall_cycles["input"] - limits["activation_port"] - limits["weight_port"]
    assert waited < 0.1 * limits["ring"]


def test_resident_weights_are_not_fetched_and_others_once() -> None:
    trace = trace_of("encoder")
    assert by_name(trace)["down"].dram_bytes == 0
    away = by_name(trace, resident_weights=False)["down"]
    assert away.bytes["dram_b_read"] == 64 * 128 // 8
    assert away.bytes["dram_metadata_read"] == 64 * 128 // 8 * 5 // 8
    assert away.stall_cycles["memory"] > 0


def test_inputs_of_the_next_part_arrive_while_one_runs() -> None:
    trace = trace_of("convolutions")
    link = {"host_bandwidth": 2e8, "operator_clocks": 0}
    whole, parted = (by_name(trace, **link, l2_bytes=room) for room in (20_500_000, 16_000))
    assert whole["host.input"].cycles == parted["host.input"].cycles
    # In one part the first operator has all it needs only when all inputs are here.
    assert whole["stem"].end_cycle > whole["host.input"].end_cycle > parted["stem"].end_cycle
    # The link still bounds the run.
    assert parted["host.output"].start_cycle >= parted["host.input"].end_cycle


def test_activations_that_do_not_fit_go_to_dram() -> None:
    crowded = by_name(trace_of("encoder"), l2_bytes=4096)
    assert sum(op.bytes.get("dram_a_read", 0) for op in crowded.values()) > 0


def test_products_of_activations_stay_dense() -> None:
    sparse, dense = by_name(trace_of("encoder")), by_name(trace_of("encoder", "none"))
    name = "attention.scores"
    assert sparse[name].pattern == "dense"
    assert sparse[name].busy_cycles == dense[name].busy_cycles
    assert dense["up"].busy_cycles > 3 * sparse["up"].busy_cycles


def test_streaming_overlaps_engines() -> None:
    trace = trace_of("encoder")
    alone = run(trace, "s4", overrides={"stream_chunks": 1}).total_cycles
    assert run(trace, "s4", overrides={"stream_chunks": 8}).total_cycles < alone


def test_boards_scale_with_their_dies() -> None:
    trace = extract("resnet18", prune="balanced:16", phase="inference", batch=12)
    seconds = {name: run(trace, name).seconds for name in ("s4", "s10", "s30")}
    assert seconds["s4"] > 1.5 * seconds["s10"] > 1.5 * seconds["s30"]
    assert load_machine("s30").spec.dies == 3


@pytest.mark.parametrize(("batch", "die", "s30_die"), [(1, 1, 1), (4, 2, 2), (13, 7, 5)])
def test_dies_take_whole_samples(batch: int, die: int, s30_die: int) -> None:
    """A board is as fast as its fullest die: a sample is not cut, nor are dies that have none."""

    def seconds(machine: str, samples: int) -> float:
        trace = extract("resnet9", prune="none", phase="inference", batch=samples, lazy=True)
        link = {"host_bandwidth": 1e15, "host_latency": 0, "stream_chunks": 1}
        return run(trace, machine, overrides=link).seconds

    assert seconds("s10", batch) == pytest.approx(seconds("s4", die), rel=1e-3)
    assert seconds("s30", batch) == pytest.approx(seconds("s4", s30_die), rel=1e-3)


def test_parts_of_the_batch_are_as_even_as_they_can_be() -> None:
    rates = {}
    for batch in (29, 31, 32):
        trace = extract("resnet9", prune="none", phase="inference", batch=batch, lazy=True)
        result = run(trace, "s4", overrides={"l2_bytes": 2_500_000})
        stem = next(op for op in result.operators if op.engine == "spu")
        assert "parts" in stem.mapping
        rates[batch] = batch / result.seconds
    # A prime number of samples is not run one by one.
    assert min(rates.values()) > 0.85 * max(rates.values())


def test_bytes_of_a_board_are_those_of_its_samples() -> None:
    trace = trace_of("encoder")
    away = {"resident_weights": False, "l2_bytes": 4096}
    one, three = (by_name(trace, **away, dies=dies)["up"] for dies in (1, 3))
    assert three.bytes["dram_b_read"] == 3 * one.bytes["dram_b_read"]
    assert three.bytes["dram_a_read"] == pytest.approx(one.bytes["dram_a_read"], rel=1e-3)


def test_energy_falls_with_sparsity() -> None:
    joules = [run(trace_of("encoder", f"balanced:{s}"), "s4").energy_j for s in (1, 4, 16)]
    assert joules == sorted(joules, reverse=True)
    assert np.isfinite(joules).all()


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"group": 24}, "group must be a power of two"),
        ({"drain_results": 64}, "drain_results 64 exceeds cols 32"),
        ({"kept_allowed": [1, 64]}, "numbers from 1 to group"),
        ({"kept_allowed": [1, 2]}, "must hold group = 32"),
        ({"activation_density": 0}, "activation_density: .*over 0 and at most 1, or trace"),
        ({"activation_density": "traec"}, "activation_density: .*over 0 and at most 1, or trace"),
    ],
)
def test_impossible_boards(overrides: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        load_machine("s4", overrides)


def test_a_ratio_the_format_lacks_is_refused() -> None:
    with pytest.raises(InputError, match="keeps 4 of every 32 channels, the machine has 1, 32"):
        run(trace_of("encoder"), "s4", overrides={"kept_allowed": [1, 32]})
