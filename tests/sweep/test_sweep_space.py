from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sparsesim.errors import InputError
from sparsesim.sweep.space import machine_points, read_space

GOOD = {"machine": "sat", "trace": {"files": "a.trace"}}


def write(folder: Path, content: object) -> Path:
    path = folder / "space.yaml"
    path.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    )
    return path


def test_grid_counts_and_order(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "machine: sat\nset: {rows: [16, 32], dram_bandwidth: [19.2e9, 768e8, 1e10]}\n"
        "trace: {files: [a.trace, b.trace]}\n",
    )
    space = read_space(path)
    assert space.size == 12
    points = machine_points(space, path)
    chosen = [(p.parameters["rows"], p.parameters["dram_bandwidth"]) for p in points]
    assert chosen == [(rows, gbs) for rows in (16, 32) for gbs in (19.2e9, 76.8e9, 1e10)]
    assert [p.machine.spec.dram_bandwidth for p in points] == [gbs for _, gbs in chosen]
    assert len({p.machine.sha256() for p in points}) == 6


def test_single_values_stand_for_lists(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"machine": "sat", "set": {"rows": 16}, "trace": {"source": "net", "batch": 4}},
    )
    space = read_space(path)
    assert space.size == 1
    (extraction,) = space.trace.extractions()
    assert extraction == {
        "source": "net",
        "prune": "none",
        "method": "dense",
        "phase": "inference",
        "batch": 4,
        "seed": 0,
    }


def test_extractions_are_a_grid(tmp_path: Path) -> None:
    trace = {"source": ["a", "b"], "prune": ["none", "nm:2:8"], "seed": [0, 1, 2]}
    space = read_space(write(tmp_path, {"machine": "sat", "trace": trace}))
    found = [(e["source"], e["prune"], e["seed"]) for e in space.trace.extractions()]
    assert len(found) == space.trace.size == 12
    assert found == [(s, p, n) for s in ("a", "b") for p in ("none", "nm:2:8") for n in (0, 1, 2)]


def test_machine_files_are_relative_to_the_space(tmp_path: Path) -> None:
    machine = {"family": "sat", "name": "tiny", "parameters": {}}
    machine["parameters"] = {"rows": {"value": 4, "status": "assumed", "source": "a test"}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(machine))
    path = write(tmp_path, GOOD | {"machine": ["sat", "tiny.yaml"]})
    points = machine_points(read_space(path), path)
    assert [(p.machine.name, p.machine.spec.rows) for p in points] == [("sat", 32), ("tiny", 4)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD | {"sett": {}}, ["sett", "not permitted"]),
        ({"machine": "sat"}, ["trace", "required"]),
        ({"trace": {"files": "a.trace"}}, ["machine", "required"]),
        (GOOD | {"machine": []}, ["machine", "at least one value"]),
        (GOOD | {"machine": None}, ["machine", "string", "None"]),
        (GOOD | {"set": {"rows": []}}, ["set.rows", "at least one value"]),
        (GOOD | {"set": {"rows": [16, 32, 16]}}, ["set.rows", "lists 16 twice"]),
        (GOOD | {"set": [1]}, ["set", "dictionary"]),
        (GOOD | {"fidelity": "exact"}, ["fidelity", "'fast' or 'stepped'", "exact"]),
        (GOOD | {"max_points": 0}, ["max_points", "greater than or equal to 1"]),
        (GOOD | {"seed": -1}, ["seed", "greater than or equal to 0"]),
        (GOOD | {"trace": {}}, ["trace", "either files or source"]),
        (GOOD | {"trace": {"files": "a", "source": "b"}}, ["trace", "either files or source"]),
        (GOOD | {"trace": {"files": "a", "batch": 2}}, ["trace", "batch applies to a source"]),
        (GOOD | {"trace": {"files": []}}, ["trace.files", "at least one value"]),
        (GOOD | {"trace": {"source": "a", "batch": 0}}, ["trace.batch", "0"]),
        (GOOD | {"trace": {"source": "a", "colour": 1}}, ["trace.colour", "not permitted"]),
        (GOOD | {"set": {"rows": [1, 2, 3]}, "max_points": 2}, ["3 points", "max_points", "2"]),
        ("- machine\n", ["must be a mapping", "machine, set, trace"]),
        ("machine: [sat\n", ["not YAML"]),
        ("\0", ["not YAML"]),
    ],
)
def test_bad_spaces_are_one_line(tmp_path: Path, content: object, words: list[str]) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_space(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_missing_space(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        read_space(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"set": {"dram_bandwidth": [1e9, -1]}}, ["dram_bandwidth=-1", "greater than 0"]),
        ({"set": {"rowz": [16]}}, ["rowz", "did you mean 'rows'"]),
        # Each value is possible, the combination is not.
        ({"set": {"n_max": [2, 8], "m_max": [4, 8]}}, ["n_max=8, m_max=4", "must not exceed"]),
        ({"set": {"rows": {"from": 1}}}, ["rows", "valid integer"]),
        ({"machine": "satt"}, ["unknown machine 'satt'", "did you mean 'sat'"]),
        ({"machine": "none.yaml"}, ["none.yaml", "cannot be read"]),
    ],
)
def test_impossible_machines_are_one_line(
    tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    path = write(tmp_path, GOOD | changes)
    space = read_space(path)
    with pytest.raises(InputError) as caught:
        machine_points(space, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: machine ")
    assert "\n" not in message
    assert all(word in message for word in words), message
