"""Traces and result folders of the study, made by worker processes and kept for the next time."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.sat_study.cases import Case
from reports.sat_study.settings import MACHINE, Setting
from sparsesim.errors import InputError, SparseSimError
from sparsesim.sweep.pools import LocalPool

if TYPE_CHECKING:
    from sparsesim.trace import Trace

TRACES = "traces"
RUNS = "runs"
#: Called with (activity, steps done, steps).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Done:
    """What one worker did.

    Attributes:
        what: the case, with the setting where there is one.
        reused: an earlier result was there.
        refused: why the case cannot be made, where it cannot.
        cpu_seconds: of the step itself (extracting, or simulating).
        rest_cpu_seconds: of reading the trace and writing the result.
        peak_bytes: resident memory of the worker so far.
    """

    what: str
    reused: bool = False
    refused: str = ""
    cpu_seconds: float = 0.0
    rest_cpu_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True)
class Stage:
    """What a stage of the study took.

    Attributes:
        wall_seconds: from the first task to the last, workers already started.
    """

    name: str
    done: tuple[Done, ...]
    wall_seconds: float

    @property
    def made(self) -> list[Done]:
        return [one for one in self.done if not one.reused and not one.refused]

    @property
    def refused(self) -> dict[str, str]:
        """By case, why it could not be made."""
        return {one.what: one.refused for one in self.done if one.refused}


def trace_path(folder: Path, case: Case) -> Path:
    """Where the trace of `case` is kept."""
    return folder / TRACES / f"{case.name}.trace"


def run_path(folder: Path, case: Case, setting: Setting) -> Path:
    """Where the result of `case` on the machine of `setting` is kept."""
    return folder / RUNS / setting.name / case.name


class Workers:
    """Worker processes on one thread each; `with` ends them, at once where the block fails."""

    def __init__(self, jobs: int) -> None:
        self._pool = LocalPool(jobs)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is None:
            self._pool.close()
        else:
            self._pool.stop()

    def extract(self, folder: Path, cases: Sequence[Case], progress: Progress) -> Stage:
        """Extract every case that has no trace yet."""
        (folder / TRACES).mkdir(exist_ok=True)
        return self._stage("extracting", _extract, [(folder, case) for case in cases], progress)

    def simulate(
        self, folder: Path, tasks: Sequence[tuple[Case, Setting]], progress: Progress
    ) -> Stage:
        """Simulate every (case, setting) that has no result yet."""
        return self._stage("simulating", _simulate, [(folder, *task) for task in tasks], progress)

    def _stage(
        self,
        name: str,
        step: Callable[..., Done],
        tasks: Sequence[tuple[Any, ...]],
        progress: Progress,
    ) -> Stage:
        started = time.perf_counter()
        progress(name, 0, len(tasks))
        try:
            futures = [self._pool.submit(_on_one_thread, step, *task) for task in tasks]
            for number, future in enumerate(as_completed(futures), 1):
                future.result()
                progress(name, number, len(tasks))
        except BrokenExecutor:
            raise SparseSimError(
                f"{name}: a worker process died (killed, or out of memory); the same call continues"
            ) from None
        done = tuple(future.result() for future in futures)
        return Stage(name, done, time.perf_counter() - started)


def _on_one_thread(step: Callable[..., Done], *task: Any) -> Done:
    """Do a step; torch and Numba, loaded by it, see that all workers together fill the cores."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    return step(*task)


def _extract(folder: Path, case: Case) -> Done:
    import sparsesim
    from sparsesim.trace import save

    path = trace_path(folder, case)
    if path.exists():
        return Done(case.name, reused=True)
    started = time.process_time()
    try:
        trace = sparsesim.extract(
            case.network, prune=case.prune, method=case.method, batch=case.batch, lazy=True
        )
    except InputError as error:
        return Done(case.name, refused=str(error))
    extracted = time.process_time()
    save(trace, path)
    return Done(
        case.name,
        cpu_seconds=extracted - started,
        rest_cpu_seconds=time.process_time() - extracted,
        peak_bytes=_peak(),
    )


def _simulate(folder: Path, case: Case, setting: Setting) -> Done:
    import sparsesim
    from sparsesim.machines.registry import load_machine
    from sparsesim.results import write_folder

    what = f"{case.name} on {setting.name}"
    started = time.process_time()
    trace = _trace(trace_path(folder, case))
    machine = load_machine(MACHINE, dict(setting.overrides))
    path = run_path(folder, case, setting)
    if _holds(path, trace.sha256(), machine.sha256()):
        return Done(what, reused=True)
    loaded = time.process_time()
    try:
        result = sparsesim.run(trace, machine)
    except InputError as error:
        return Done(what, refused=str(error))
    simulated = time.process_time()
    write_folder(result, path, force=True)
    return Done(
        what,
        cpu_seconds=simulated - loaded,
        rest_cpu_seconds=time.process_time() - simulated + loaded - started,
        peak_bytes=_peak(),
    )


@lru_cache(maxsize=2)
def _trace(path: Path) -> Trace:
    from sparsesim.trace import load

    return load(path)


def _holds(path: Path, trace_sha256: str, machine_sha256: str) -> bool:
    """Whether `path` is the result of this trace on this machine by this version."""
    import sparsesim
    from sparsesim.results import is_result_folder

    if not is_result_folder(path):
        return False
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    machine = summary["machine"]
    found = summary["trace"]["sha256"], machine["sha256"], machine["simulator_version"]
    return found == (trace_sha256, machine_sha256, sparsesim.__version__)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
