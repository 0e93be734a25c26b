"""Fixtures of the workload tests; all of them need PyTorch unless they say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Writer = Callable[[str], str]


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Write a user's module into an otherwise empty current directory; returns its name."""
    monkeypatch.chdir(tmp_path)
    header = (
        "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
        "from torch.nn.utils import prune\n"
    )

    def write(body: str) -> str:
        name = f"user_model_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(header + body)
        return name

    return write
