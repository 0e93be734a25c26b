"""The verb `sweep`: a design space in, a folder with a result store and a table out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsesim.atomic_output import atomic_file
from sparsesim.errors import InputError
from sparsesim.sweep.csv_export import CSV, write_csv
from sparsesim.sweep.evaluation import Evaluation, Point, Simulate
from sparsesim.sweep.pools import Pool, open_pool
from sparsesim.sweep.progress import OnProgress, Tally
from sparsesim.sweep.runner import run_points
from sparsesim.sweep.space import MachinePoint, Space, machine_points, read_space
from sparsesim.sweep.store import STORE, Store
from sparsesim.sweep.synthesized import with_area
from sparsesim.sweep.traces import Extract, TracePoint, extracted_traces, trace_files

SPACE_COPY = "space.yaml"
TRACES = "traces"


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep did.

    Attributes:
        total: distinct points of the grid.
        computed: points simulated by this call, failed ones included.
        reused: points that an earlier run had done.
        failed: points without a result; the command line exits with 1 if there are any.
        store: the SQLite file.
        csv: the table, one row per grid point.
    """

    total: int
    computed: int
    reused: int
    failed: int
    store: Path
    csv: Path


def sweep(
    space: Path | str,
    out: Path | str,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    extract: Extract | None = None,
    progress: OnProgress | None = None,
    simulate: Simulate | None = None,
) -> SweepOutcome:
    """Simulate every point of the grid in the YAML file `space` and store results in `out`.

    `out` gets `sweep.sqlite` (a row is committed as its point ends), `sweep.csv`, a copy of the
    space, and the extracted traces.

    Args:
        jobs: points under way at a time; default: the usable cores, or with a scheduler the
            threads of its workers.
        scheduler: address of a dask.distributed scheduler. Its workers need this package, the
            trace files under the same paths, and one thread each (Numba runs in parallel).
        resume: continue in an existing `out`: done points of the grid are not computed again,
            failed ones are.
        extract: ``extract(source, *, prune, method, phase, batch, seed) -> Trace``, needed if the
            space names a trace source; `sparsesim.extract` is one.
        progress: called with a `Tally` after every step (`sparsesim.sweep.progress_bar`).
        simulate: ``simulate(trace, machine, *, fidelity, seed) -> RunResult``, importable by a
            worker; default `sparsesim.simulate.run`.

    Raises:
        InputError: the space, a machine, a trace, `jobs`, the scheduler or `out` is wrong;
            nothing has been simulated then.
        KeyboardInterrupt: interrupted; its message says how many points are stored.
    """
    path, folder = Path(space), Path(out)
    report = progress or (lambda _tally: None)
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs: must be at least 1 (got {jobs})")
    declared = read_space(path)
    machines = with_area(machine_points(declared, path), declared, path)
    files = trace_files(declared.trace, path)
    if declared.trace.source is not None and extract is None:
        raise InputError(
            f"{path}: trace.source: needs the argument extract, such as sparsesim.extract"
        )
    with open_pool(jobs, scheduler) as pool:
        created = _claim(folder, resume)
        try:
            with Store(folder / STORE) as store:
                (folder / CSV).unlink(missing_ok=True)  # it may show another grid
                with atomic_file(folder / SPACE_COPY) as temporary:
                    shutil.copyfile(path, temporary)
                if extract is not None and declared.trace.source is not None:
                    files = extracted_traces(declared.trace, path, folder / TRACES, extract, report)
                points = _grid(declared, files, machines)
                return _run(points, folder, store, pool, simulate, report)
        except BaseException:
            if created and not _worth_keeping(folder):
                shutil.rmtree(folder)
            raise


def _claim(folder: Path, resume: bool) -> bool:
    """Check that `folder` may be used, and make it if it is missing; true if it was."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise InputError(f"{folder}: exists and is not a folder") from None
        if not resume:
            raise InputError(
                f"{folder}: output folder exists (choose another, or continue it with --resume)"
            ) from None
        if any(folder.iterdir()) and not (folder / STORE).is_file():
            raise InputError(f"{folder}: not a sweep to resume (no {STORE} in it)") from None
        return False
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    return True


def _worth_keeping(folder: Path) -> bool:
    """Whether a failed first run left something that a resumed one can use."""
    if any((folder / TRACES).glob("*.trace")):
        return True
    with Store(folder / STORE) as store:
        return any(row["status"] != "pending" for row in store.rows().values())


def _grid(
    space: Space, files: Sequence[TracePoint], machines: Sequence[MachinePoint]
) -> list[Point]:
    """Every trace on every machine; the machine varies fastest, so workers keep their trace."""
    return [
        Point(
            parameters={**machine.parameters, **trace.parameters},
            machine=machine.machine,
            trace_path=trace.path,
            trace_name=trace.name,
            trace_sha256=trace.sha256,
            trace_prune=trace.prune,
            trace_method=trace.method,
            fidelity=space.fidelity,
            seed=space.seed,
            area=machine.area,
        )
        for trace in files
        for machine in machines
    ]


def _run(
    points: Sequence[Point],
    folder: Path,
    store: Store,
    pool: Pool,
    simulate: Simulate | None,
    report: OnProgress,
) -> SweepOutcome:
    pending = store.register(points)
    ids = {point.point_id for point in points}
    total = len(ids)
    reused = total - len(pending)
    done, failed = reused, 0

    def tally() -> Tally:
        return Tally("simulating", done, total, failed)

    def on_end(point: Point, evaluation: Evaluation) -> None:
        nonlocal done, failed
        store.finish(point.point_id, evaluation)
        done += 1
        failed += evaluation.values is None
        report(tally())

    report(tally())
    try:
        run_points(pending, pool, simulate, on_end)
    except KeyboardInterrupt:
        rows = store.rows()
        stored = sum(rows[point_id]["status"] != "pending" for point_id in ids)
        raise KeyboardInterrupt(
            f"interrupted: {stored} of {total} points are stored in {folder}; "
            "--resume computes the rest"
        ) from None
    write_csv(folder / CSV, points, store.rows())
    return SweepOutcome(
        total=total,
        computed=len(pending),
        reused=reused,
        failed=failed,
        store=folder / STORE,
        csv=folder / CSV,
    )
