from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import sparsesim
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.sweep.evaluation import Evaluation, Point, measured
from sparsesim.sweep.store import STORE, Store
from tests.sweep import fake_simulators as fake


def point(rows: int = 16, sha256: str = "a") -> Point:
    return Point(
        parameters={"machine": "sat", "rows": rows},
        machine=load_machine("sat", {"rows": rows}),
        trace_path=Path("net.trace"),
        trace_name="net",
        trace_sha256=sha256,
        trace_prune="none",
        trace_method="dense",
        fidelity="fast",
        seed=0,
    )


def evaluation(of: Point) -> Evaluation:
    options = {"fidelity": of.fidelity, "seed": of.seed}
    return Evaluation(values=measured(fake.simulate(fake.gemm_trace(), of.machine, **options)))


def test_id_depends_on_what_determines_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    base = point()
    assert base.point_id == point().point_id
    # Where the trace lies and what the row is called do not matter.
    assert base.point_id == replace(base, trace_path=Path("b"), parameters={}).point_id
    others = [
        point(rows=32),
        point(sha256="b"),
        replace(base, seed=1),
        replace(base, fidelity="stepped"),
        replace(base, machine=replace(base.machine, name="other")),
    ]
    assert len({base.point_id, *(other.point_id for other in others)}) == 6
    monkeypatch.setattr(sparsesim, "__version__", "999")
    assert point().point_id != base.point_id


def test_done_points_survive_and_failed_ones_are_pending_again(tmp_path: Path) -> None:
    done, failed, pending = point(1), point(2), point(3)
    with Store(tmp_path / STORE) as store:
        assert store.register([done, failed, pending, done]) == [done, failed, pending]
        store.finish(done.point_id, evaluation(done))
        store.finish(failed.point_id, Evaluation(error="does not fit"))
    with Store(tmp_path / STORE) as store:
        rows = store.rows()
        assert [rows[p.point_id]["status"] for p in (done, failed, pending)] == [
            "done",
            "failed",
            "pending",
        ]
        assert rows[failed.point_id]["error"] == "does not fit"
        assert rows[failed.point_id]["total_cycles"] is None
        assert evaluation(done).values is not None
        assert rows[done.point_id].items() >= evaluation(done).values.items()
        # Another grid: the done point that is not in it stays for a later one.
        assert store.register([pending]) == [pending]
        assert set(store.rows()) == {done.point_id, pending.point_id}


def test_another_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / STORE
    attempt = (
        "import sys; from pathlib import Path; from sparsesim.sweep.store import Store\n"
        "try: Store(Path(sys.argv[1]))\n"
        "except Exception as error: print(f'{type(error).__name__}: {error}')\n"
        "else: print('opened')\n"
    )

    def other() -> str:
        command = [sys.executable, "-c", attempt, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with Store(path) as store:
        store.register([point()])
        assert other() == f"InputError: {tmp_path}: another sweep is using this folder"
        store.finish(point().point_id, Evaluation(error="x"))  # still usable by its owner
    assert other() == "opened"


@pytest.mark.parametrize("damage", ["not a database", "truncated", "overwritten"])
def test_damaged_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / STORE
    with Store(path) as store:
        store.register([point(rows) for rows in range(1, 200)])
    content = path.read_bytes()
    if damage == "not a database":
        path.write_bytes(b"point_id,status\n" * 400)
    elif damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + b"\xff" * 8192 + content[middle + 8192 :])
    with pytest.raises(InputError) as caught:
        Store(path)
    assert str(caught.value).startswith(f"{path}: damaged (")
    assert "\n" not in str(caught.value)


def test_other_database(tmp_path: Path) -> None:
    path = tmp_path / STORE
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE music (title TEXT)")
    other.close()
    with pytest.raises(InputError, match="user_version: must be 1"):
        Store(path)


def test_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        Store(tmp_path / "none" / STORE)
