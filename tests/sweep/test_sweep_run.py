from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import sparsesim
from sparsesim.errors import InputError, SparseSimError
from sparsesim.results.record import BYTE_STREAMS
from sparsesim.sweep import SweepOutcome, Tally, sweep
from sparsesim.sweep.pools import LocalPool
from sparsesim.sweep.runner import WORKER_DIED
from sparsesim.sweep.store import STORE, Store
from tests.sweep import fake_simulators as fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fake.save_trace(tmp_path / "dense.trace", prune="none", method="dense")
    fake.save_trace(tmp_path / "bdwp.trace", m=32, prune="nm:2:8", method="bdwp")
    return tmp_path


def space(
    folder: Path, rows: object = (1, 2, 3, 4, 5), files: object = "dense.trace", **more: Any
) -> Path:
    path = folder / "space.yaml"
    rows = list(rows) if isinstance(rows, tuple) else rows
    content = {"machine": "sat", "set": {"rows": rows}, "trace": {"files": files}}
    path.write_text(yaml.safe_dump(content | more))
    return path


def statuses(outcome: SweepOutcome) -> dict[int, str]:
    table = pd.read_csv(outcome.csv)
    return dict(zip(table["rows"], table["status"], strict=True))


def test_csv_content(folder: Path) -> None:
    path = space(folder, rows=(16, 32), files=["dense.trace", "bdwp.trace"])
    outcome = sweep(path, folder / "out", jobs=1, simulate=fake.simulate)
    assert outcome == SweepOutcome(
        total=4,
        computed=4,
        reused=0,
        failed=0,
        store=folder / "out/sweep.sqlite",
        csv=folder / "out/sweep.csv",
    )
    assert (folder / "out/space.yaml").read_bytes() == path.read_bytes()
    table = pd.read_csv(outcome.csv, keep_default_na=False)
    assert list(table.columns) == [
        "machine",
        "rows",
        "trace_file",
        "point_id",
        "status",
        "error",
        "trace_name",
        "trace_prune",
        "trace_method",
        "machine_name",
        "pes",
        "on_chip_bytes",
        "clock_hz",
        "total_cycles",
        "seconds",
        "energy_j",
        "macs_dense",
        "macs_effective",
        "dram_bytes",
        "utilisation",
    ]
    assert list(table["rows"]) == [16, 32, 16, 32]
    assert list(table["trace_prune"]) == ["none", "none", "nm:2:8", "nm:2:8"]
    assert table["point_id"].is_unique
    last = table.iloc[3]
    macs = 32 * 32 * 16
    assert last["pes"] == 1024
    assert last["macs_effective"] == last["macs_dense"] == macs
    assert last["total_cycles"] == macs // 1024 + 100
    assert last["seconds"] == last["total_cycles"] / 200e6
    assert last["utilisation"] == macs / (1024 * last["total_cycles"])
    streams = [stream for stream in BYTE_STREAMS if stream.startswith("dram_")]
    assert last["dram_bytes"] == len(streams) * 8
    assert last["energy_j"] == pytest.approx(3e-12)


def test_same_table_with_one_and_two_jobs(folder: Path) -> None:
    path = space(folder, rows=tuple(range(1, 13)))
    tables = [
        sweep(path, folder / f"out{jobs}", jobs=jobs, simulate=fake.simulate).csv.read_bytes()
        for jobs in (1, 2)
    ]
    assert tables[0] == tables[1]


def test_points_that_are_the_same_simulation_run_once(folder: Path) -> None:
    (folder / "copy.trace").write_bytes((folder / "dense.trace").read_bytes())
    path = space(folder, rows=[4, 4.0], files=["dense.trace", "copy.trace"])
    log = folder / "log"
    outcome = sweep(path, folder / "out", jobs=1, simulate=partial(fake.counted, log=log))
    assert (outcome.total, fake.calls(log)) == (1, [4])
    table = pd.read_csv(outcome.csv)
    assert list(table["trace_file"]) == ["dense.trace"] * 2 + ["copy.trace"] * 2
    assert set(table["status"]) == {"done"}
    assert table["point_id"].nunique() == 1


def test_progress_counts_every_point(folder: Path) -> None:
    seen: list[Tally] = []
    simulate = partial(fake.refusing, rows=3)
    outcome = sweep(space(folder), folder / "out", jobs=1, simulate=simulate, progress=seen.append)
    assert [tally.done for tally in seen] == [0, 1, 2, 3, 4, 5]
    assert seen[-1] == Tally("simulating", 5, 5, failed=2)
    assert outcome.failed == 2


def test_a_point_that_raises_is_stored_and_the_sweep_goes_on(folder: Path) -> None:
    path = space(folder)
    outcome = sweep(path, folder / "out", jobs=2, simulate=partial(fake.refusing, rows=3))
    assert (outcome.total, outcome.failed) == (5, 2)
    table = pd.read_csv(outcome.csv).set_index("rows")
    assert list(table["status"]) == ["done", "done", "failed", "failed", "done"]
    assert table.loc[3, "error"] == "operator 'g': does not fit the buffer"
    assert table.loc[4, "error"] == "ZeroDivisionError: division by zero"
    assert table.loc[[3, 4], "total_cycles"].isna().all()
    texts = pd.read_csv(outcome.csv, dtype=str)
    assert texts["pes"][0] == "32"  # counts stay whole numbers beside missing ones


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_point_that_kills_its_worker_fails_alone(folder: Path, jobs: int) -> None:
    log = folder / "log"
    simulate = partial(fake.killed, rows=2, log=log)
    outcome = sweep(space(folder), folder / "out", jobs=jobs, simulate=simulate)
    assert statuses(outcome) == {1: "done", 2: "failed", 3: "done", 4: "done", 5: "done"}
    assert set(pd.read_csv(outcome.csv)["error"].dropna()) == {WORKER_DIED}
    assert fake.calls(log).count(2) == 2


def test_a_worker_that_dies_once_costs_nothing(folder: Path) -> None:
    log = folder / "log"
    simulate = partial(fake.killed, rows=2, deaths=1, log=log)
    outcome = sweep(space(folder), folder / "out", jobs=2, simulate=simulate)
    assert outcome.failed == 0
    assert set(statuses(outcome).values()) == {"done"}


def test_result_that_breaks_the_accounting_fails(folder: Path) -> None:
    outcome = sweep(space(folder, rows=7), folder / "out", jobs=1, simulate=unbalanced)
    assert outcome.failed == 1
    assert "busy + stalls" in pd.read_csv(outcome.csv)["error"][0]


def unbalanced(*arguments: Any, **options: Any) -> Any:
    import dataclasses

    result = fake.simulate(*arguments, **options)
    return dataclasses.replace(result, total_cycles=result.total_cycles + 1)


def test_trace_changed_under_way(folder: Path) -> None:
    def swap(_: Tally) -> None:
        fake.save_trace(folder / "dense.trace", m=8)

    outcome = sweep(
        space(folder, rows=7), folder / "out", jobs=1, simulate=fake.simulate, progress=swap
    )
    assert "changed while the sweep ran" in pd.read_csv(outcome.csv)["error"][0]


# Resuming


def interrupt_after(points: int) -> Callable[[Tally], None]:
    def progress(tally: Tally) -> None:
        if tally.done == points:
            raise KeyboardInterrupt

    return progress


def test_resume_recomputes_nothing(folder: Path) -> None:
    path, out, log = space(folder), folder / "out", folder / "log"
    simulate = partial(fake.counted, log=log)
    message = f"interrupted: 2 of 5 points are stored in {out}"
    with pytest.raises(KeyboardInterrupt, match=re.escape(message)):
        sweep(path, out, jobs=1, simulate=simulate, progress=interrupt_after(2))
    assert not (out / "sweep.csv").exists()
    stored = [rows for rows in fake.calls(log) if rows in (1, 2)]
    outcome = sweep(path, out, jobs=1, simulate=simulate, resume=True)
    assert (outcome.computed, outcome.reused) == (3, 2)
    assert [rows for rows in fake.calls(log) if rows in (1, 2)] == stored == [1, 2]
    assert set(statuses(outcome).values()) == {"done"}
    before = len(fake.calls(log))
    again = sweep(path, out, jobs=1, simulate=simulate, resume=True)
    assert (again.computed, len(fake.calls(log))) == (0, before)
    fresh = sweep(path, folder / "fresh", jobs=1, simulate=fake.simulate)
    assert fresh.csv.read_bytes() == again.csv.read_bytes()


def test_resume_tries_failed_points_again(folder: Path) -> None:
    path, out, log = space(folder), folder / "out", folder / "log"
    sweep(path, out, jobs=1, simulate=partial(fake.refusing, rows=3))
    outcome = sweep(path, out, jobs=1, simulate=partial(fake.counted, log=log), resume=True)
    assert fake.calls(log) == [3, 4]
    assert (outcome.reused, outcome.computed, outcome.failed) == (3, 2, 0)


def test_resume_with_another_grid(folder: Path) -> None:
    out, log = folder / "out", folder / "log"
    simulate = partial(fake.counted, log=log)
    sweep(space(folder, rows=(1, 2, 3)), out, jobs=1, simulate=simulate)
    outcome = sweep(space(folder, rows=(2, 3, 4)), out, jobs=1, simulate=simulate, resume=True)
    assert fake.calls(log) == [1, 2, 3, 4]
    assert statuses(outcome) == {2: "done", 3: "done", 4: "done"}
    back = sweep(space(folder, rows=(1,)), out, jobs=1, simulate=simulate, resume=True)
    assert fake.calls(log) == [1, 2, 3, 4]
    assert statuses(back) == {1: "done"}


def test_resume_of_nothing_starts(folder: Path) -> None:
    outcome = sweep(space(folder), folder / "new/out", jobs=1, simulate=fake.simulate, resume=True)
    assert outcome.computed == 5


# What is refused


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        sweep(*arguments, simulate=fake.simulate, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_that_are_refused(folder: Path) -> None:
    path = space(folder)
    out = folder / "out"
    out.mkdir()
    (out / "precious").write_text("mine")
    assert "output folder exists" in refused(path, out)
    assert "not a sweep to resume" in refused(path, out, resume=True)
    assert [file.name for file in out.iterdir()] == ["precious"]
    assert "not a folder" in refused(path, path, resume=True)


def test_damaged_store_is_refused(folder: Path) -> None:
    path, out = space(folder), folder / "out"
    sweep(path, out, jobs=1, simulate=fake.simulate)
    (out / STORE).write_bytes(b"no database at all" * 100)
    assert f"{out / STORE}: damaged" in refused(path, out, resume=True)


def test_folder_in_use_is_refused(folder: Path) -> None:
    path, out = space(folder), folder / "out"
    sweep(path, out, jobs=1, simulate=fake.simulate)
    with Store(out / STORE):
        assert "another sweep is using" in refused(path, out, resume=True)
    assert (out / "sweep.csv").exists()


@pytest.mark.parametrize(
    ("changes", "options", "word"),
    [
        ({"set": {"dram_bandwidth": [1e9, -1]}}, {}, "dram_bandwidth"),
        ({"trace": {"files": "none.trace"}}, {}, "none.trace"),
        ({"trace": {"files": "space.yaml"}}, {}, "not a trace"),
        ({"trace": {"source": "net"}}, {}, "extract"),
        ({}, {"jobs": 0}, "--jobs: must be at least 1 (got 0)"),
    ],
)
def test_bad_input_leaves_nothing(
    folder: Path, changes: dict[str, Any], options: dict[str, Any], word: str
) -> None:
    assert word in refused(space(folder, **changes), folder / "out", **options)
    assert not (folder / "out").exists()


def test_workers_that_cannot_start(folder: Path) -> None:
    script = folder / "unguarded.py"
    script.write_text(
        "import sys\nimport sparsesim\nsparsesim.sweep(sys.argv[1], sys.argv[2], jobs=1)\n"
    )
    command = [sys.executable, str(script), str(space(folder)), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "SparseSimError: worker processes die at start" in done.stderr
    assert not (folder / "out").exists()


# Extraction


def test_traces_are_extracted_once(folder: Path) -> None:
    extract = fake.Extractor()
    trace = {"source": "net", "prune": ["none", "nm:2:8"], "method": "bdwp", "batch": [8, 16]}
    path, out = space(folder, rows=(1, 2, 3), trace=trace), folder / "out"
    seen: list[Tally] = []
    outcome = sweep(
        path, out, jobs=1, simulate=fake.simulate, extract=extract, progress=seen.append
    )
    assert outcome.total == 12
    assert [(source, o["prune"], o["batch"]) for source, o in extract.calls] == [
        ("net", prune, batch) for prune in ("none", "nm:2:8") for batch in (8, 16)
    ]
    assert len(list((out / "traces").glob("*.trace"))) == 4
    assert seen[:5] == [Tally("extracting traces", n, 4) for n in range(5)]
    table = pd.read_csv(outcome.csv, keep_default_na=False)
    assert list(table["trace_batch"]) == [8] * 3 + [16] * 3 + [8] * 3 + [16] * 3
    assert set(table["trace_source"]) == {"net"}
    assert list(table["trace_prune"].unique()) == ["none", "nm:2:8"]
    assert list(table.columns).count("trace_prune") == 1

    sweep(path, out, jobs=1, simulate=fake.simulate, extract=extract, resume=True)
    assert len(extract.calls) == 4


def test_source_files_are_relative_and_known_by_content(folder: Path) -> None:
    extract, source = fake.Extractor(), folder / "model.pt2"
    source.write_bytes(b"one")
    path, out = space(folder, rows=1, trace={"source": "model.pt2"}), folder / "out"
    for content, calls in ((b"one", 1), (b"one", 1), (b"two", 2)):
        source.write_bytes(content)
        sweep(path, out, jobs=1, simulate=fake.simulate, extract=extract, resume=True)
        assert [name for name, _ in extract.calls] == [str(source)] * calls


def test_failed_extraction(folder: Path) -> None:
    extract = fake.Extractor()
    path, out = space(folder, trace={"source": "missing"}), folder / "out"
    assert "unknown source 'missing'" in refused(path, out, extract=extract)
    assert not out.exists()
    # A trace that was extracted before the failure is kept for --resume.
    path = space(folder, trace={"source": ["net", "missing"]})
    assert "unknown source 'missing'" in refused(path, out, extract=extract)
    path = space(folder, trace={"source": "net"})
    sweep(path, out, jobs=1, simulate=fake.simulate, extract=extract, resume=True)
    assert [source for source, _ in extract.calls] == ["missing", "net", "missing"]


# Processes

SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from tests.sweep import fake_simulators as fake
from sparsesim.sweep import progress_bar, sweep

if __name__ == "__main__":
    space, out, log = map(Path, sys.argv[1:])
    with progress_bar() as progress:
        sweep(space, out, jobs=2, progress=progress,
              simulate=partial(fake.counted, log=log, seconds=0.3))
"""


def start_script(folder: Path, log: Path) -> subprocess.Popen[str]:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, script, space(folder, rows=tuple(range(1, 101))), folder / "out", log],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def workers(log: Path) -> set[int]:
    return {int(line.split()[1]) for line in log.read_text().splitlines()}


def gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")")[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"  # dead; nobody reaps orphans inside some containers


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")


@needs_proc
def test_interrupt_from_the_terminal(folder: Path) -> None:
    log = folder / "log"
    process = start_script(folder, log)
    wait_for(lambda: len(fake.calls(log)) >= 5)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
    _, errors = process.communicate(timeout=30)
    assert process.returncode in (1, 130, -signal.SIGINT)
    assert all(gone(worker) for worker in workers(log))
    found = re.search(r"interrupted: (\d+) of 100 points are stored", errors)
    assert found is not None, errors
    assert errors.count("Traceback") == 1, errors  # the script's own, none of a worker
    with Store(folder / "out" / STORE) as store:
        done = [row for row in store.rows().values() if row["status"] == "done"]
    assert 0 < len(done) == int(found[1]) < 100


@needs_proc
def test_killed_parent_leaves_no_workers(folder: Path) -> None:
    log = folder / "log"
    process = start_script(folder, log)
    wait_for(lambda: len(fake.calls(log)) >= 5)
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: all(gone(worker) for worker in workers(log)))
    done = len(fake.calls(log))
    before = fake.calls(log)[: done - 4]
    resumed = folder / "resumed"
    outcome = sweep(
        space(folder, rows=tuple(range(1, 101))),
        folder / "out",
        jobs=2,
        simulate=partial(fake.counted, log=resumed),
        resume=True,
    )
    assert outcome.computed == len(fake.calls(resumed))
    assert not set(before) & set(fake.calls(resumed))
    assert set(before) | set(fake.calls(resumed)) <= set(range(1, 101))
    assert outcome.total == 100


def test_pool_starts_workers_only_when_needed() -> None:
    pool = LocalPool(2)
    pool.stop()
    pool.close()
    assert pool.submit(os.getpid).result() != os.getpid()
    pool.stop()


# The verb


@pytest.mark.parametrize("first", ["", "import sparsesim.sweep", "import sparsesim.sweep.run"])
def test_the_package_is_the_verb(folder: Path, first: str) -> None:
    code = (
        f"{first}\nimport sparsesim\nfrom sparsesim.errors import InputError\n"
        "for _ in range(2):\n"
        "    try: sparsesim.sweep('none.yaml', 'out')\n"
        "    except InputError as error: print(error)\n"
        "import sparsesim.sweep\nprint(sparsesim.sweep.SweepOutcome.__name__)\n"
        "try: sparsesim.sweep('none.yaml', 'out')\n"
        "except InputError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    line = "none.yaml: cannot be read (No such file or directory)"
    assert done.stdout.splitlines() == [line, line, "SweepOutcome", line]


def test_importing_is_light() -> None:
    code = (
        "import sys, sparsesim.sweep\n"
        "print({'numba', 'pandas', 'distributed', 'matplotlib', 'rich'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "set()"


def test_verb_in_this_process(folder: Path) -> None:
    outcome = sparsesim.sweep(space(folder, rows=2), folder / "out", simulate=fake.simulate)
    assert outcome.total == 1


def test_lost_pool_is_one_line() -> None:
    from concurrent.futures import Future

    from sparsesim.sweep.runner import run_points

    class Lost(LocalPool):
        def submit(self, *_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(SparseSimError, match="scheduler went away"):
        run_points([None], Lost(1), None, lambda *_: None)  # type: ignore[list-item]
