"""Has every energy a source, and do the numbers scale and add up?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import sparsesim.energy
from sparsesim.energy import energy_pj, moved_energy, nodes
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.model import simulate_operators
from sparsesim.machines.sat.spec import SatSpec
from sparsesim.results.record import BYTE_STREAMS, ENERGY_COMPONENTS
from tests.machines.sat.gemm_operators import gemm, trace_of

FILE = Path(sparsesim.energy.__file__).with_name("actions.yaml")
TABLE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("action", TABLE["actions"])
def test_every_action_has_source_unit_and_scaling(action: str) -> None:
    entry = TABLE["actions"][action]
    assert len(entry["source"]) > 10
    assert entry["per"] in ("operation", "byte")
    assert entry["pj"] > 0
    assert entry["scales"] in ("logic", "memory", "none")
    assert energy_pj(action, TABLE["reference_node_nm"]) == entry["pj"]


@pytest.mark.parametrize("action", TABLE["actions"])
def test_smaller_nodes_take_no_more_energy(action: str) -> None:
    values = [energy_pj(action, node) for node in nodes()]
    assert values == sorted(values)
    if TABLE["actions"][action]["scales"] == "none":
        assert len(set(values)) == 1
    else:
        assert len(set(values)) == len(values)


def test_scaling_covers_the_nodes_a_machine_may_have() -> None:
    assert len(TABLE["scaling"]["source"]) > 10
    for kind in ("logic", "memory"):
        assert sorted(TABLE["scaling"][kind]) == nodes()
    for node in nodes():
        assert load_machine("sat", {"node_nm": node}).spec.node_nm == node
    allowed = SatSpec.model_json_schema()["properties"]["node_nm"]["enum"]
    assert sorted(allowed) == nodes()


def test_unknown_action_and_node_are_not_guessed() -> None:
    with pytest.raises(KeyError):
        energy_pj("teleport", 16)
    with pytest.raises(KeyError):
        energy_pj("fp32_add", 28)


def test_moved_energy_is_additive() -> None:
    first = {"dram_a_read": 100, "scratchpad_a_read": 7, "register_read": 5}
    second = {"dram_output_write": 11, "scratchpad_b_read": 3, "register_write": 1}
    together = moved_energy(first | second, 16)
    assert together == pytest.approx(
        {
            level: moved_energy(first, 16)[level] + moved_energy(second, 16)[level]
            for level in ("dram", "scratchpad", "register")
        }
    )
    assert together["dram"] == pytest.approx(111 * energy_pj("dram", 16))


def test_a_gemm_takes_the_energy_of_its_actions_each_once() -> None:
    spec = load_machine("sat", {}).spec
    (time,) = simulate_operators(trace_of(gemm(100, 40, 64)), spec, "fast")
    assert set(time.bytes) <= set(BYTE_STREAMS)
    assert set(time.energy_pj) <= set(ENERGY_COMPONENTS)
    moved = {
        level: sum(count for name, count in time.bytes.items() if name.startswith(level + "_"))
        for level in ("dram", "scratchpad", "register")
    }
    macs = 100 * 40 * 64
    total = sum(moved[level] * energy_pj(level, spec.node_nm) for level in moved)
    total += macs * (energy_pj("fp16_multiply", spec.node_nm) + energy_pj("fp32_add", spec.node_nm))
    assert sum(time.energy_pj.values()) == pytest.approx(total)
