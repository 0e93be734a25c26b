"""A network is added by one file: the example of docs/catalog.md, word for word."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import workloads.catalog as catalog
from sparsesim.errors import InputError
from sparsesim.trace import Gemm
from workloads.catalog_listing import list_catalog
from workloads.extract import extract

DOCUMENT = Path(__file__).parents[3] / "docs" / "catalog.md"
IMPORTS = (
    "from pydantic import Field\n"
    "from sparsesim.validation import Record\n"
    "from workloads.catalog import CatalogEntry, Example\n"
)


@pytest.fixture
def one_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The documented file, put into the catalog under the name `one_layer`."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (tmp_path / "one_layer.py").write_text(IMPORTS + code)
    monkeypatch.setattr(catalog, "__path__", [*catalog.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "workloads.catalog.one_layer", raising=False)
    return "one_layer"


def test_it_is_listed_and_traced(one_layer: str) -> None:
    (row,) = (row for row in list_catalog() if row["name"] == one_layer)
    assert row["parameters"] == [
        {
            "name": "classes",
            "default": 10,
            "allowed": "integer >= 2",
            "description": "classes told apart",
        }
    ]
    assert row["inputs"] == {"features": ["batch", 64]}
    trace = extract(one_layer, batch=4, parameters={"classes": 24}, phase="inference")
    (gemm,) = (op for op in trace.operators if isinstance(op, Gemm))
    assert (gemm.m, gemm.n, gemm.k) == (4, 24, 64)


def test_its_parameters_are_checked(one_layer: str) -> None:
    with pytest.raises(InputError, match=r"classes: .*greater than or equal to 2 \(got 1\)"):
        extract(one_layer, parameters={"classes": 1})
