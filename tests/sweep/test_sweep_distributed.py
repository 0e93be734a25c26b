from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sparsesim.errors import InputError
from sparsesim.sweep import sweep
from sparsesim.sweep.runner import WORKER_DIED
from tests.sweep import fake_simulators as fake

distributed = pytest.importorskip("distributed")


@pytest.fixture
def space(tmp_path: Path) -> Path:
    fake.save_trace(tmp_path / "dense.trace")
    path = tmp_path / "space.yaml"
    content = {"machine": "sat", "set": {"rows": [1, 2, 3, 4]}, "trace": {"files": "dense.trace"}}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        dashboard_address=None,
        protocol="tcp",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


def test_same_table_as_local(space: Path, cluster: distributed.LocalCluster) -> None:
    simulate = partial(fake.refusing, rows=3)
    tables = [
        sweep(space, space.parent / name, jobs=1, simulate=simulate, scheduler=address).csv
        for name, address in (("local", None), ("remote", cluster.scheduler_address))
    ]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    assert list(pd.read_csv(tables[1])["status"]) == ["done", "done", "failed", "failed"]


def test_points_under_way_follow_the_threads(cluster: distributed.LocalCluster) -> None:
    from sparsesim.sweep.pools import DistributedPool

    for slots, expected in ((None, 2), (1, 1)):
        pool = DistributedPool(cluster.scheduler_address, slots)
        assert pool.slots == expected
        pool.close()


def test_no_workers(
    space: Path, cluster: distributed.LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparsesim.sweep.pools.CONNECT_SECONDS", 1)
    cluster.scale(0)
    with pytest.raises(InputError, match="has no workers"):
        sweep(space, space.parent / "out", scheduler=cluster.scheduler_address)
    assert not (space.parent / "out").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "127.0.0.1:none", ""])
def test_unreachable(space: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("sparsesim.sweep.pools.CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="--scheduler") as caught:
        sweep(space, space.parent / "out", scheduler=address)
    assert "\n" not in str(caught.value)
    assert not (space.parent / "out").exists()


def test_not_installed(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(InputError, match="needs the package distributed"):
        sweep(space, space.parent / "out", scheduler="tcp://127.0.0.1:9")


def test_killed_worker_fails_only_its_point(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    log = space.parent / "log"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        outcome = sweep(
            space,
            space.parent / "out",
            simulate=partial(fake.killed, rows=2, log=log),
            scheduler=cluster.scheduler_address,
        )
    table = pd.read_csv(outcome.csv)
    assert list(table["status"]) == ["done", "failed", "done", "done"]
    assert table["error"][1] == WORKER_DIED
