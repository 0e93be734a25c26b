"""The published JSON schema is the one that is enforced."""

from __future__ import annotations

import json
from pathlib import Path

from sparsesim.trace import Manifest

SCHEMA = Path(__file__).parents[2] / "docs" / "trace-schema.json"


def test_the_schema_is_current() -> None:
    """To renew it: ``python -m sparsesim.trace.schema > docs/trace-schema.json``."""
    assert json.loads(SCHEMA.read_text()) == Manifest.model_json_schema(by_alias=True)
