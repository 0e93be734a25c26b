"""Machine files: what ships is evidenced, and what a user changes is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sparsesim.errors import InputError
from sparsesim.machines.parameters import parse_override, read_machine_file
from sparsesim.machines.registry import FAMILIES, load_machine, named_machines

NAMES = list(named_machines())


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_value_has_its_evidence(name: str) -> None:
    machine = load_machine(name)
    assert machine.name == name
    assert machine.family in FAMILIES
    assert machine.description
    assert set(machine.provenance) == set(machine.spec.model_dump())
    for key, evidence in machine.provenance.items():
        assert evidence.status in ("published", "derived", "assumed"), key
        assert len(evidence.source) > 5, key
    for key, field in type(machine.spec).model_fields.items():
        assert field.description, key


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("rows=32", "rows", 32),
        ("dram_bandwidth=19.2e9", "dram_bandwidth", 19.2e9),
        ("dram_bandwidth=1e9", "dram_bandwidth", 1e9),
        ("x=-3", "x", -3),
        ("rows=010", "rows", 10),
        ("rows=1:30", "rows", "1:30"),
        ("x=true", "x", True),
        (" dataflow = ws ", "dataflow", "ws"),
        ("path=a=b", "path", "a=b"),
        ("x=[1, 2]", "x", [1, 2]),
        ("x={", "x", "{"),
        ("x=", "x", None),
    ],
)
def test_set(text: str, key: str, value: Any) -> None:
    assert parse_override(text) == (key, value)
    assert type(parse_override(text)[1]) is type(value)


@pytest.mark.parametrize("text", ["rows", "", "=3", " =3"])
def test_set_without_a_key_or_value(text: str) -> None:
    with pytest.raises(InputError, match="must be key=value"):
        parse_override(text)


def refused(match: str, machine: str = "sat", **overrides: Any) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load_machine(machine, overrides)
    assert "\n" not in str(caught.value)


def test_unknown_keys_are_refused_with_the_allowed_ones() -> None:
    allowed = ", ".join(type(load_machine("sat").spec).model_fields)
    refused(r"--set colls: unknown machine key 'colls'; did you mean 'cols'", colls=3)
    refused(f"allowed: {allowed}", colour="red")


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"dram_bandwidth": -1.0}, r"dram_bandwidth: .*greater than 0 \(got -1.0\)"),
        ({"dram_bandwidth": float("inf")}, "dram_bandwidth: .*finite"),
        ({"dram_bandwidth": float("nan")}, "dram_bandwidth: "),
        ({"dram_bandwidth": "fast"}, "dram_bandwidth: .*valid number"),
        ({"dram_efficiency": 1.1}, "dram_efficiency: .*less than or equal to 1"),
        ({"rows": 0}, "rows: "),
        ({"rows": 1.5}, "rows: .*integer"),
        ({"rows": None}, "rows: .*integer"),
        ({"rows": True}, "--set rows: must be a number"),
        ({"clock_hz": True}, "--set clock_hz: must be a number"),
        ({"m_max": 12}, r"sat.yaml with --set: m_max must be a power of two \(got 12\)$"),
        ({"n_max": 64, "m_max": 32}, "n_max 64 must not exceed m_max 32"),
        ({"dataflow": "os2"}, "dataflow: .*'ws'"),
        # Clocks or bytes that 64 bits do not hold.
        ({"clock_hz": 1e308}, "clock_hz: .*less than or equal to"),
        ({"dram_bandwidth": 1e-300}, "with --set: dram_bandwidth x .* at least 1e-06 bytes"),
        ({"dram_efficiency": 1e-300}, "with --set: dram_bandwidth x .* at least 1e-06 bytes"),
        ({"dram_interleave_bytes": 2**62}, "dram_interleave_bytes: .*less than or equal to"),
    ],
)
def test_impossible_values(overrides: dict[str, Any], match: str) -> None:
    refused(match, **overrides)


def test_an_override_changes_its_value_its_evidence_and_the_hash() -> None:
    plain, changed = load_machine("sat"), load_machine("sat", {"rows": 16.0})
    assert changed.spec.rows == 16
    assert changed.provenance["rows"].status == "set by user"
    assert changed.sha256() != plain.sha256()
    others = {key: value for key, value in changed.provenance.items() if key != "rows"}
    assert others.items() <= plain.provenance.items()
    assert load_machine("sat", {"rows": plain.spec.rows}).sha256() == plain.sha256()


def written(path: Path, **changes: Any) -> str:
    entry = {"value": 16, "status": "assumed", "source": "a smaller array"}
    content = {"family": "sat", "name": "mine", "parameters": {"rows": entry}, **changes}
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    entry = "{value: 8, status: assumed, source: small}"
    path.write_text(f"family: sat\nname: twice\nparameters:\n  rows: {entry}\n  rows: {entry}\n")
    with pytest.raises(InputError, match=r"twice.yaml: not YAML .*key 'rows' given twice.*line 5"):
        load_machine(str(path))


def test_a_file_needs_to_say_only_what_differs(tmp_path: Path) -> None:
    machine = load_machine(written(tmp_path / "mine.yaml"))
    assert (machine.name, machine.spec.rows) == ("mine", 16)
    assert machine.spec.cols == load_machine("sat").spec.cols
    assert machine.provenance["rows"].source == "a smaller array"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"family": "tpu"}, "family: unknown family 'tpu' .allowed: sat"),
        ({"name": None}, "name: "),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"parameters": []}, "parameters: "),
        ({"parameters": {"rows": 16}}, r"parameters\.rows: "),
        ({"parameters": {"rows": {"value": 16, "status": "guessed", "source": "x"}}}, "status"),
        ({"parameters": {"rows": {"value": 16, "status": "assumed"}}}, "source: Field required"),
        ({"parameters": {"rowz": {"value": 1, "status": "assumed", "source": "x"}}},
         "unknown machine key 'rowz'; did you mean 'rows'"),
        ({"parameters": {"rows": {"value": -1, "status": "assumed", "source": "x"}}}, "rows: "),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    path = written(tmp_path / "mine.yaml", **changes)
    refused(match, path)


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "\x00", "a: !!python/object:os.system {}"])
def test_files_that_are_no_machine(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    refused("not YAML|must be a mapping", str(tmp_path / "a.yaml"))


def test_names(tmp_path: Path) -> None:
    refused("unknown machine 'sta'; did you mean 'sat'", "sta")
    refused("allowed: .*sat.*, or a .yaml file", "other")
    refused("cannot be read", str(tmp_path / "absent.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    refused("cannot be read", str(tmp_path / "folder.yaml"))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    refused("not YAML", str(tmp_path / "bytes.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_shipped_files_are_read_as_files_too(name: str) -> None:
    path = named_machines()[name]
    assert load_machine(str(path)).sha256() == load_machine(name).sha256()
    assert read_machine_file(path).name == name
