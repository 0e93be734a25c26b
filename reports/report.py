"""The verb `report`: result and sweep folders in, a folder with a page, figures and data out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from reports.figures.breakdown import draw_engines, draw_phases
from reports.figures.energy import draw_energy
from reports.figures.ladder import draw_ladder
from reports.figures.layers import draw_layers
from reports.figures.pareto import draw_pareto, draw_sensitivity
from reports.figures.piuma import piuma_plates
from reports.figures.plate import Plate
from reports.figures.prediction import draw_prediction
from reports.figures.roofline import draw_roofline
from reports.figures.speedup import draw_speedup
from reports.figures.style import house_style
from reports.page import Picture, Section, render
from reports.papers.published import applicable_speedups
from reports.runs import Pair, Run, grouped, load_runs, pair_up
from reports.sweeps import Sweep, is_sweep_folder, load_sweep
from reports.tables import (
    accuracy_table,
    check_notes,
    failures_table,
    front_table,
    machine_table,
    machines_of,
    runs_table,
    status_counts,
    top_operators,
    trace_notes,
    versions_table,
)
from sparsesim import __version__
from sparsesim.atomic_output import atomic_folder, refuse_existing
from sparsesim.errors import InputError
from sparsesim.results import is_result_folder

#: With more pairs than this, each network has the figures of its fastest pair only.
MOST_PAIRS_DRAWN = 12
PAGE = "index.html"


def report(folders: Sequence[Path], out: Path, force: bool = False) -> Path:
    """Write a report of result folders and sweep folders to the folder `out`.

    `out` gets `index.html` (self-contained), `figures/` (each figure as PNG of 300 dots per inch
    and as SVG) and `data/` (the numbers behind each figure as CSV). It appears whole or not at
    all.

    Returns:
        The path of the page.

    Raises:
        InputError: no folder given, one that is neither a result nor a sweep folder or is
            damaged, or `out` exists and may not be replaced.
    """
    out = Path(out)
    if not folders:
        raise InputError("report: give at least one result or sweep folder")
    refuse_existing(out, force)
    paths = [Path(folder) for folder in folders]
    for path in paths:
        _check_kind(path)
    runs = load_runs([path for path in paths if is_result_folder(path)])
    sweeps = [load_sweep(path) for path in paths if not is_result_folder(path)]
    pairs, unpaired = pair_up(runs)
    with atomic_folder(out, force) as folder, house_style():
        sections = [
            *_run_sections(folder, runs, pairs, unpaired),
            *(_sweep_section(folder, sweep) for sweep in sweeps),
            *_machine_sections(runs),
        ]
        title = _title(runs, sweeps)
        (folder / PAGE).write_text(
            render(title, trust(runs, sweeps), sections, __version__), encoding="utf-8"
        )
    return out / PAGE


def _check_kind(path: Path) -> None:
    if is_result_folder(path) or is_sweep_folder(path):
        return
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    raise InputError(
        f"{path}: neither a result folder (summary.json, operators.csv) nor a sweep folder "
        "(sweep.sqlite, sweep.csv)"
    )


def _title(runs: Sequence[Run], sweeps: Sequence[Sweep]) -> str:
    names = dict.fromkeys([run.network for run in runs] + [sweep.name for sweep in sweeps])
    return "SparseSim: " + ", ".join(names)


def trust(runs: Sequence[Run], sweeps: Sequence[Sweep]) -> list[str]:
    """Plain statements on what the numbers rest on."""
    lines = [
        "Cycle counts are predictions of an uncalibrated model: no parameter was fitted to a "
        "measured or published result."
    ]
    for machine in machines_of(runs):
        counts = status_counts(machine)
        line = (
            f"Machine {machine.name}: {counts.get('assumed', 0)} of its "
            f"{len(machine.parameters)} parameters are assumed, "
            f"{counts.get('published', 0)} published"
        )
        changed = counts.get("set by user", 0)
        lines.append(line + (f", {changed} set by the user." if changed else "."))
    if sweeps:
        lines.append(
            "Design points of a sweep are predictions too; see their machine's parameters for "
            "what is assumed."
        )
    lines.append(
        "Ratios of two runs on one machine depend less on the assumed values than seconds or "
        "joules do. Energies are dynamic only: event counts times a table of energies per action, "
        "without static or leakage power, and not a measurement."
    )
    if runs:
        lines.append(
            "Busy and stall cycles add up to the total on every engine and operator; the reader "
            "of these folders checks it again."
        )
    return lines


def _show(folder: Path, plates: Iterable[Plate]) -> list[Picture]:
    pictures = []
    for plate in plates:
        named, copy = plate, 1
        while named.is_written(folder):  # two sweep folders may have the same name
            copy += 1
            named = replace(plate, name=f"{plate.name}-{copy}")
        pictures.append(Picture(named, named.write(folder)))
    return pictures


def _run_sections(
    folder: Path, runs: Sequence[Run], pairs: Sequence[Pair], unpaired: dict[str, str]
) -> list[Section]:
    if not runs:
        return []
    notes = [f"No speedup is shown for {label}: {why}." for label, why in unpaired.items()]
    notes.extend(check_notes(runs))
    overview = [draw_speedup(pairs, applicable_speedups(pairs))] if pairs else []
    groups = grouped(runs)
    if any(run.summary.energy_j > 0 for run in runs):
        overview.append(draw_energy(groups))
    overview.extend(piuma_plates(runs))
    overview.append(draw_engines([run for group in groups for run in group]))
    prediction = draw_prediction(runs)
    if prediction is not None:
        overview.append(prediction)
    accuracy = accuracy_table(runs, pairs)
    sections = [
        Section(
            "Runs",
            _show(folder, overview),
            [runs_table(runs, pairs), *([accuracy] if accuracy else [])],
            notes=notes,
        )
    ]
    for group in groups:
        drawn, left_out = _drawn_pairs(group, pairs)
        sections.append(
            Section(
                _group_title(group, groups),
                _show(folder, _group_plates(group, drawn)),
                folded=[top_operators(run) for run in group],
                notes=[*left_out, *trace_notes(group)],
            )
        )
    return sections


def _group_title(group: Sequence[Run], groups: Sequence[Sequence[Run]]) -> str:
    first = group[0]
    alone = sum(other[0].network == first.network for other in groups) == 1
    return first.network if alone else f"{first.network} on {first.machine.name}"


def _drawn_pairs(group: Sequence[Run], pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
    """Pairs of the group that get figures of their own, and a note on those that do not."""
    labels = {run.label for run in group}
    mine = [pair for pair in pairs if pair.sparse.label in labels and len(pair.sparse.macs)]
    if len(pairs) <= MOST_PAIRS_DRAWN or len(mine) < 2:
        return mine, []
    fastest = max(mine, key=lambda pair: pair.speedup)
    note = (
        f"Losses and layers are drawn for the fastest of {len(mine)} variants, "
        f"{fastest.sparse.label}; make a report of fewer runs for the others."
    )
    return [fastest], [note]


def _group_plates(group: Sequence[Run], mine: Sequence[Pair]) -> Iterator[Plate]:
    for pair in mine:
        yield draw_ladder(pair, applicable_speedups([pair]))
    yield draw_phases(group)
    for pair in mine:
        yield draw_layers(pair)
    if any(len(run.macs) for run in group):
        yield draw_roofline(group)


def _sweep_section(folder: Path, sweep: Sweep) -> Section:
    plates: list[Plate] = []
    notes = [f"{len(sweep.done)} of {len(sweep.table)} design points done, {sweep.failed} failed."]
    tables = []
    if len(sweep.done):
        plates.append(draw_pareto(sweep))
        if len(sweep.parameters) == 1 and sweep.numeric_parameters:
            plates.append(draw_sensitivity(sweep))
        tables.append(front_table(sweep))
    failures = failures_table(sweep)
    folded = [failures] if failures else []
    return Section(f"Sweep {sweep.name}", _show(folder, plates), tables, folded, notes)


def _machine_sections(runs: Sequence[Run]) -> list[Section]:
    if not runs:
        return []
    return [
        Section("Machines", tables=[machine_table(machine) for machine in machines_of(runs)]),
        Section("Versions and hashes", tables=[versions_table(runs)]),
    ]
