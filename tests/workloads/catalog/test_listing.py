"""`sparsesim extract --list`: what it says is what is built, and listing builds nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.command_line import done, refused
from workloads.catalog import catalog_names
from workloads.catalog_listing import list_catalog

#: Trained for real in their own files, with PyTorch at the top.
TRAINED_HERE = ("digits_cnn", "digits_vit")
NETWORKS = [name for name in catalog_names() if name not in TRAINED_HERE]


def test_every_network_names_its_source_parameters_and_inputs() -> None:
    pytest.importorskip("torch")
    rows = {row["name"]: row for row in list_catalog()}
    assert set(rows) == set(catalog_names())
    for name in NETWORKS:
        row = rows[name]
        assert row["title"]
        assert row["source"]
        assert row["inputs"]
        for parameter in row["parameters"]:
            assert parameter["description"], f"{name}.{parameter['name']}"
            assert parameter["allowed"]
    assert rows["llama2_7b"]["lazy"]
    assert rows["digits_cnn"]["trained"]


def test_entries_are_read_without_pytorch() -> None:
    script = (
        "import sys\nfrom workloads.catalog import load_entry\n"
        "from workloads.catalog_listing import list_parameters\n"
        f"for name in {NETWORKS!r}: list_parameters(load_entry(name))\n"
        "print('torch' in sys.modules, 'numba' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_have_the_listed_shapes(name: str) -> None:
    torch = pytest.importorskip("torch")
    from workloads.catalog import load_entry

    entry = load_entry(name)
    with torch.device("meta"):
        _, arguments = entry.example(name, 3, {})
    (row,) = (row for row in list_catalog() if row["name"] == name)
    listed = [
        tuple(3 if extent == "batch" else extent for extent in extents)
        for extents in row["inputs"].values()
    ]
    assert [tuple(value.shape) for value in arguments] == listed


def test_the_list_is_one_json_document() -> None:
    result = done("extract", "--list", "--json")
    rows = json.loads(result.stdout)["networks"]
    assert [row["name"] for row in rows] == list(catalog_names())
    (bert,) = json.loads(done("extract", "bert_base", "--list", "--json").stdout)["networks"]
    by_name = {row["name"]: row for row in bert["parameters"]}
    assert by_name["length"]["default"] == 384
    assert by_name["head"]["allowed"].split(" or ")[:2] == ["none", "pooler"]
    assert bert["inputs"]["tokens"] == ["batch", 384]


def test_the_list_for_people_stays_off_stdout() -> None:
    result = done("extract", "--list")
    assert result.stdout == ""
    assert all(name in result.stderr for name in catalog_names())
    one = done("extract", "--list", "vit").stderr
    assert "side of a patch in pixels" in one


def test_a_name_that_is_not_listed() -> None:
    match = "--list 'resnet5': not in the catalog; did you mean 'resnet50'"
    refused(match, "extract", "--list", "resnet5")
