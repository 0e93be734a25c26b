"""A small trace file, and folders to fail in."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparsesim.trace import save
from tests.trace.small_traces import small_trace


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "small.trace"
    save(small_trace(), path)
    return path
