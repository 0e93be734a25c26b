"""Fixtures of the report tests: folders of synthetic runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.synthetic_runs import resnet9, resnet18, stored, training_run


@pytest.fixture(scope="session")
def result_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two networks, dense and BDWP 2:8, as result folders by name."""
    root = tmp_path_factory.mktemp("results")
    folders = {}
    for name, layers in (("resnet18", resnet18()), ("resnet9", resnet9())):
        for suffix, keep in (("dense", None), ("bdwp", (2, 8))):
            accuracy = {"top1": 0.931 if keep is None else 0.926}
            folders[f"{name}-{suffix}"] = stored(
                training_run(name, layers, keep, provenance={"accuracy": accuracy}),
                root / f"{name}-{suffix}",
            )
    return folders
