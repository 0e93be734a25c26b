"""The training study: tables, taking up again, refusals; a reduced study is slow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import pandas as pd

from reports import training_study
from reports.training_study import divergence_table, main, results_table, study
from sparsesim.errors import InputError
from workloads.training_study import runner
from workloads.training_study.experiments import experiments, settings_of

KEYS = {"network": "net", "method": "dense", "prune": "none"}


def record(
    method: str, prune: str, seed: int, accuracy: float, sad: float | None
) -> dict[str, Any]:
    epochs = [
        {"epoch": epoch, "accuracy": accuracy if epoch == 2 else None, "sad_backward": sad}
        for epoch in (1, 2)
    ]
    return {"network": "net", "method": method, "prune": prune, "seed": seed, "steps": 100,
            "accuracy": accuracy, "epochs": epochs}  # fmt: skip


def step(method: str, prune: str, seconds: float, effective: int) -> dict[str, Any]:
    return {"network": "net", "method": method, "prune": prune, "machine": "sat",
            "step_cycles": 1, "step_seconds": seconds, "step_energy_j": 2 * seconds,
            "macs_dense": 100, "macs_effective": effective}  # fmt: skip


RECORDS = [
    record("dense", "none", 0, 0.9, None),
    record("dense", "none", 1, 0.8, None),
    record("bdwp", "nm:2:8", 0, 0.7, 0.1),
    record("bdwp", "nm:2:8", 1, 0.7, 0.3),
]
STEPS = [step("dense", "none", 0.2, 100), step("bdwp", "nm:2:8", 0.1, 50)]


def test_the_table_compares_whole_trainings_with_dense() -> None:
    table = results_table(RECORDS, STEPS)
    dense, bdwp = table.iloc[0], table.iloc[1]
    assert (dense["pattern"], bdwp["pattern"]) == ("dense", "2:8")
    assert dense["accuracy_mean"] == pytest.approx(0.85)
    assert dense["accuracy_sd"] == pytest.approx(0.0707, abs=1e-4)
    assert (dense["training_seconds"], bdwp["training_seconds"]) == (20.0, 10.0)
    assert (bdwp["speedup"], bdwp["energy_saving"], bdwp["operation_bound"]) == (2.0, 2.0, 2.0)
    assert bdwp["seeds"] == 2


def test_divergence_is_averaged_over_the_seeds() -> None:
    table = divergence_table(RECORDS)
    bdwp = table[table["method"] == "bdwp"]
    assert list(bdwp["sad_backward"]) == pytest.approx([0.2, 0.2])
    assert table[table["method"] == "dense"]["sad_backward"].isna().all()


def test_what_is_there_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def carry_out(experiment: Any, epochs: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
        trained.append(experiment.name)
        return {"settings": settings_of(experiment.network, epochs)}, {}

    monkeypatch.setattr(runner, "carry_out", carry_out)
    wanted = experiments(("digits_cnn",), ("dense", "bdwp"), ("nm:2:8",), 2)
    runner.train_all(tmp_path, wanted[:1], epochs=1)
    seen: list[tuple[int, int]] = []
    runner.train_all(
        tmp_path, wanted, epochs=1, progress=lambda done, count, _: seen.append((done, count))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert trained == [one.name for one in wanted]
    with pytest.raises(InputError, match=r"was trained with epochs 1, now 2; choose another"):
        runner.train_all(tmp_path, wanted, epochs=2)
    path = runner.record_file(tmp_path, wanted[0])
    path.write_text("{")
    with pytest.raises(InputError, match="is not the record of a training run"):
        runner.train_all(tmp_path, wanted, epochs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--network", "resnet18"], "--network 'resnet18': unknown"),
        (["--method", "bdw"], "did you mean 'bdwp'"),
        (["--method", "bdwp"], "dense must be among them"),
        (["--pattern", "9:8"], "keeps 9 of every 8"),
    ],
)
def test_mistakes_are_refused_in_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["-o", str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_reduced_study_trains_simulates_and_draws(tmp_path: Path) -> None:
    out = tmp_path / "study"
    table = study(out, patterns=("2:8",), methods=("dense", "sdwp", "bdwp", "slope"), seeds=2)
    best = table.set_index(["network", "method"])
    for network in training_study.NETWORKS:
        assert best.loc[(network, "dense"), "accuracy_mean"] > 0.9
        assert best.loc[(network, "bdwp"), "accuracy_mean"] > 0.87
        assert best.loc[(network, "bdwp"), "speedup"] > 1.0
        assert best.loc[(network, "bdwp"), "speedup"] > best.loc[(network, "sdwp"), "speedup"]
    written = pd.read_csv(out / training_study.ACCURACY)
    assert list(written["seeds"]) == [2] * len(written)
    for name in ("accuracy_time", "divergence"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
    movement = pd.read_csv(out / training_study.DIVERGENCE)
    slope = movement[movement["method"] == "slope"]
    assert (slope["sad_forward"] == 0.0).all()
    bdwp = movement[(movement["method"] == "bdwp") & (movement["network"] == "digits_cnn")]
    # Masks settle: late epochs change fewer weights than early ones.
    assert bdwp["sad_forward"].iloc[-5:].mean() < bdwp["sad_forward"].iloc[:5].mean()
    record = json.loads((out / "runs" / "digits_vit-bdwp-2-8-seed0.json").read_text())
    assert record["steps"] == 20 * (record["training_samples"] // 64)
