"""The study from extraction to page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.runs import Run, load_runs
from reports.sat_study.calibration import bandwidth_gb, interpolated, means
from reports.sat_study.cases import HEADLINE, NETWORKS, Case, cases_of, headline_cases
from reports.sat_study.page import Findings, write_page
from reports.sat_study.sensitivity import swept
from reports.sat_study.settings import (
    ABLATIONS,
    BANDWIDTHS,
    FUSIONS,
    MACHINE,
    SHIPPED,
    Setting,
    fitted_grid,
    one_at_a_time,
)
from reports.sat_study.simulation import Progress, Stage, Workers, run_path
from sparsesim.atomic_output import MARKER
from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine

REPORT = "report"
PAGE = "study"
#: Simulated beside the batch of the study, to see what the batch changes.
OTHER_BATCHES = (8, 32, 512)


@dataclass(frozen=True)
class Outcome:
    """What the study wrote, and what it took.

    Attributes:
        page: its page.
        report: page of the verb `report` on the dense and the headline runs.
        stages: extraction, simulation, the same for ablations and further batches, and sweeps
            (without details of their tasks).
    """

    page: Path
    report: Path
    stages: tuple[Stage, ...]


def study(
    folder: Path,
    *,
    networks: Sequence[str] = NETWORKS,
    batch: int = 128,
    jobs: int = 2,
    other_batches: Sequence[int] = OTHER_BATCHES,
    settings: Sequence[Setting] | None = None,
    progress: Progress = lambda _activity, _done, _total: None,
) -> Outcome:
    """Make the study in `folder`; whatever an earlier call finished there is kept.

    Args:
        networks: catalog names.
        batch: samples of a training step.
        jobs: worker processes.
        other_batches: for which the headline is simulated as well.
        settings: for the sensitivity; default: `one_at_a_time`.
        progress: called with (activity, steps done, steps).

    Raises:
        InputError: `folder` is something else, or an argument is impossible.
    """
    import sparsesim

    if jobs < 1 or batch < 1:
        raise InputError(f"--jobs and --batch must be at least 1 (got {jobs} and {batch})")
    _claim(folder)
    cases = cases_of(networks, batch)
    headline = headline_cases(networks, batch)
    others = [
        case
        for other in other_batches
        if other != batch
        for case in headline_cases(networks, other)
    ]
    with Workers(jobs) as workers:
        extracted = workers.extract(folder, cases, progress)
        cases = [case for case in cases if case.name not in extracted.refused]
        for case in headline:
            if case not in cases:
                raise InputError(f"{case.name}: {extracted.refused[case.name]}")
        simulated = workers.simulate(folder, [(case, SHIPPED) for case in cases], progress)
        more_extracted = workers.extract(folder, others, progress)
        tasks = [(case, setting) for case in headline for setting in ABLATIONS]
        tasks += [(case, SHIPPED) for case in others]
        more_simulated = workers.simulate(folder, tasks, progress)
    stages = [
        replace(extracted, name="extracting the study's traces"),
        replace(simulated, name="simulating the study's traces"),
        replace(more_extracted, name="extracting further batches"),
        replace(more_simulated, name="simulating ablations and further batches"),
    ]
    refused = extracted.refused | simulated.refused | more_extracted.refused
    refused |= more_simulated.refused
    shipped = [case for case in (*cases, *others) if f"{case.name} on {SHIPPED.name}" not in refused
               and case.name not in refused]  # fmt: skip
    runs = _loaded(folder, [(case, SHIPPED) for case in shipped]) | _loaded(
        folder,
        [task for task in tasks if f"{task[0].name} on {task[1].name}" not in refused
         and task[1] != SHIPPED],
    )  # fmt: skip

    started = time.perf_counter()
    varied = list(one_at_a_time() if settings is None else settings)
    sensitivity = swept("sensitivity", folder, headline, varied, jobs, progress)
    grid = swept("grid", folder, headline, fitted_grid(), jobs, progress)
    target = published_speedup()
    fits = interpolated(grid, FUSIONS, BANDWIDTHS, target)
    fitted = grid.iloc[:0]
    if fits:
        fitted = swept("fits", folder, headline, [fit.setting for fit in fits], jobs, progress)
        mean = means(fitted)
        fits = [replace(fit, speedup=float(mean[fit.setting.name])) for fit in fits]
    stages.append(Stage("sweeping the sensitivity and the fit", (), time.perf_counter() - started))

    started = time.perf_counter()
    progress("drawing", 0, 2)
    shown = tuple(name for name in reversed(NETWORKS) if name in networks)
    shown += tuple(name for name in networks if name not in NETWORKS)
    findings = Findings(
        networks=shown,
        batch=batch,
        other_batches=tuple(other for other in other_batches if other != batch),
        runs=runs,
        sensitivity=sensitivity,
        grid=grid,
        fitted=fitted,
        fits=tuple(fits),
        shipped_gigabytes=bandwidth_gb(load_machine(MACHINE).spec.dram_bandwidth),
        published=target,
        refused=refused,
        stages=tuple(stages),
    )
    page = write_page(findings, folder / PAGE)
    progress("drawing", 1, 2)
    whole = sparsesim.report(
        [run_path(folder, case, SHIPPED) for case in headline_cases(shown, batch)],
        folder / REPORT,
        force=True,
    )
    progress("drawing", 2, 2)
    stages.append(Stage("drawing", (), time.perf_counter() - started))
    return Outcome(page, whole, tuple(stages))


def published_speedup() -> float:
    """The published mean of the headline variant."""
    from reports.papers.published import read_papers

    method, prune = HEADLINE
    (value,) = (
        entry.value
        for paper in read_papers()
        if paper.family == MACHINE
        for entry in paper.speedups
        if (entry.method, entry.prune) == (method, prune)
    )
    return value


def _claim(folder: Path) -> None:
    """Make `folder`, or check that an earlier study made it."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: exists and is not a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise InputError(f"{folder}: is not the folder of an earlier study")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None


def _loaded(folder: Path, tasks: Sequence[tuple[Case, Setting]]) -> dict[tuple[Case, Setting], Run]:
    """The result folders of `tasks`, checked."""
    runs = load_runs([run_path(folder, case, setting) for case, setting in tasks])
    return dict(zip(tasks, runs, strict=True))
