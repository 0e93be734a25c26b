"""Settings of the hardware tests."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Tests that only read a component's ports, or see it refused, never elaborate it."""
    ignored = pytest.mark.filterwarnings("ignore:.*created but never used")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(ignored)
