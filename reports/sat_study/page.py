"""The page of the study: figures, tables and what they do not say."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from reports.figures.plate import Plate
from reports.figures.prediction import draw_prediction, error_table
from reports.figures.style import house_style
from reports.page import Picture, Section, render
from reports.papers.published import read_papers
from reports.report import trust
from reports.sat_study.calibration import BOARD_GB, Fit, chosen
from reports.sat_study.cases import DENSE, HEADLINE, Case, title
from reports.sat_study.figures.ablation import draw_ablation
from reports.sat_study.figures.parts import draw_parts
from reports.sat_study.figures.sensitivity import NEAR, draw_fitted, draw_sensitivity
from reports.sat_study.figures.variants import draw_variants
from reports.sat_study.settings import ABLATIONS, MACHINE, SHIPPED
from reports.sat_study.simulation import Stage
from reports.sat_study.tables import (
    PARTS,
    STEP,
    Runs,
    ablation_table,
    headline_pairs,
    part_table,
    schedule_table,
    variant_table,
)
from reports.tables import Table
from reports.units import TIMES, quantity
from sparsesim import __version__
from sparsesim.atomic_output import atomic_folder

if TYPE_CHECKING:
    import pandas as pd

INDEX = "index.html"
_VARIANT = "BDWP 2:8"
_NOT_SEEN = "not seen"


@dataclass(frozen=True)
class Findings:
    """All that the page shows.

    Attributes:
        networks: in the order of the figures.
        runs: result folders by case and setting.
        sensitivity, grid, fitted: speedups by setting and network (`sensitivity.swept`).
        fits: parameters that give the published mean, simulated.
        shipped_gigabytes: DRAM bandwidth of the shipped machine.
        published: mean speedup of the headline variant.
        refused: by case (and setting), why it was left out.
    """

    networks: tuple[str, ...]
    batch: int
    other_batches: tuple[int, ...]
    runs: Runs
    sensitivity: pd.DataFrame
    grid: pd.DataFrame
    fitted: pd.DataFrame
    fits: tuple[Fit, ...]
    shipped_gigabytes: float
    published: float
    refused: Mapping[str, str]
    stages: tuple[Stage, ...]

    @property
    def shipped_mean(self) -> float:
        """Mean speedup of the headline variant on the shipped machine."""
        pairs = headline_pairs(self.runs, self.networks, self.batch)
        return fmean(pair.speedup for pair in pairs.values())


def write_page(findings: Findings, out: Path) -> Path:
    """Write the page, its figures and their data to the folder `out`; whole or not at all."""
    with atomic_folder(out, force=True) as folder, house_style():
        sections = [*_sections(findings, folder)]
        runs = [run for (_case, setting), run in findings.runs.items() if setting == SHIPPED]
        lines = [
            *trust(runs, []),
            "The one exception is the column `calibrated` of the reproduction table: two "
            "parameters fitted to the published mean. The machine that is shipped is not fitted.",
        ]
        text = render("The SAT study", lines, sections, __version__)
        (folder / INDEX).write_text(text, encoding="utf-8")
    return out / INDEX


def _sections(findings: Findings, folder: Path) -> Iterator[Section]:
    def pictures(*plates: Plate | None) -> list[Picture]:
        return [Picture(plate, plate.write(folder)) for plate in plates if plate is not None]

    runs, networks, batch = findings.runs, findings.networks, findings.batch
    variants = variant_table(runs, batch)
    yield Section(
        "Reproduction",
        tables=[_reproduction(findings, variants), _fits(findings)],
        notes=_identifies(findings),
    )
    refused = [f"Left out: {what}: {why}." for what, why in findings.refused.items()]
    yield Section(
        "Methods and patterns",
        pictures(draw_variants(variants, networks, findings.published)),
        [_variants(variants, networks)],
        notes=[f"Batch {batch}.", *refused],
    )
    parts = part_table(headline_pairs(runs, networks, batch))
    yield Section(
        "Parts of the step",
        pictures(draw_parts(parts, networks, _VARIANT)),
        [_parts(parts, networks)],
        notes=["Speedup per layer: see the page of the report, one figure per network."],
    )
    ablation = ablation_table(runs, networks, batch, ABLATIONS)
    yield Section(
        "Ablation",
        pictures(draw_ablation(ablation, networks, _VARIANT, findings.shipped_mean)),
        [_ablation(ablation)],
    )
    fixed = [setting for setting in ABLATIONS if "dataflow" in setting.overrides]
    schedule = schedule_table(runs, networks, batch, fixed)
    shipped = [runs[Case(network, *v, batch), SHIPPED] for network in networks
               for v in (DENSE, HEADLINE)]  # fmt: skip
    plate = draw_prediction(shipped)
    assert plate is not None
    schedule.to_csv(_data(folder) / "schedule.csv", index=False)
    yield Section(
        "Offline schedule",
        pictures(plate),
        [_errors(error_table(plate.data)), _regret(schedule)],
    )
    yield Section(
        "Sensitivity",
        pictures(
            draw_sensitivity(
                _with_batches(findings), networks, findings.shipped_mean, findings.published
            ),
            draw_fitted(findings.grid, findings.published, findings.fits),
        ),
        [_batches(findings)],
        notes=_identifies(findings),
    )
    yield Section("What it took", tables=[_timings(findings.stages)])


def _data(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    return data


def _identifies(findings: Findings) -> list[str]:
    table = _with_batches(findings)
    mean = table.groupby("setting")["speedup"].mean()
    near = mean[(mean / findings.published - 1).abs() <= NEAR].index
    groups = table[table["setting"].isin(near)]["group"].nunique()
    line = (
        f"The published mean does not identify the unpublished parameters: {len(near)} of the "
        f"{len(mean)} settings that change one of them, of {groups} different parameters, come "
        f"within {100 * NEAR:g} % of it."
    )
    if findings.fits:
        words = "; ".join(fit.words for fit in findings.fits)
        line += f" Each of these pairs meets it: {words}."
    return [line]


def _reproduction(findings: Findings, variants: pd.DataFrame) -> Table:
    pairs = headline_pairs(findings.runs, findings.networks, findings.batch)
    fit = chosen(findings.fits, findings.shipped_gigabytes)
    calibrated: dict[str, float] = {}
    if fit is not None:
        part = findings.fitted[findings.fitted["setting"] == fit.setting.name]
        calibrated = {str(row.network): float(str(row.speedup)) for row in part.itertuples()}

    def error(value: float, published: float) -> str:
        return f"{100 * (value / published - 1):+.1f} %"

    rows = [
        [
            f"speedup of {_VARIANT}, mean of {len(pairs)} networks",
            "abstract",
            f"{findings.published:g}{TIMES}",
            f"{findings.shipped_mean:.3f}{TIMES}",
            error(findings.shipped_mean, findings.published),
            f"{fit.speedup:.3f}{TIMES}" if fit else "no fit",
            error(fit.speedup, findings.published) if fit else "",
        ]
    ]
    rows += [
        [
            f"speedup of {_VARIANT}, {title(network)}",
            _NOT_SEEN,
            _NOT_SEEN,
            f"{pair.speedup:.3f}{TIMES}",
            "",
            f"{calibrated[network]:.3f}{TIMES}" if calibrated else "",
            "",
        ]
        for network, pair in pairs.items()
    ]
    for paper in read_papers():
        for entry in paper.operation_reductions if paper.family == MACHINE else ():
            found = variants[variants["variant"] == _VARIANT]["operation_reduction"].mean()
            rows.append(
                [
                    f"operations saved by {_VARIANT}, mean of {len(pairs)} networks",
                    entry.source,
                    f"{100 * entry.value:g} %",
                    f"{100 * found:.1f} %",
                    error(found, entry.value),
                    "counted, not fitted",
                    "",
                ]
            )
    note = (
        f"Fitted: {fit.words} (shipped: {findings.shipped_gigabytes:g} GB/s). Two parameters and "
        "one published number: a fit that cannot fail, not a reproduction."
        if fit
        else f"No DRAM bandwidth up to the board's {BOARD_GB:g} GB/s gives the published mean."
    )
    headings = ["quantity", "source", "published", "predicted", "error", "calibrated", "error"]
    return Table("Reproduction", headings, rows, words=2, note=note)


def _fits(findings: Findings) -> Table:
    rows = [
        [fit.fusion, f"{fit.gigabytes:g}", f"{fit.speedup:.4f}{TIMES}",
         "yes" if fit.gigabytes <= BOARD_GB else f"no: above {BOARD_GB:g} GB/s"]
        for fit in findings.fits
    ]  # fmt: skip
    return Table(
        "Pairs of DRAM bandwidth and fusion that give the published mean",
        ["fusion", "DRAM bandwidth (GB/s)", "mean speedup, simulated", "the board can have it"],
        rows,
        note="The bandwidth is interpolated in the grid of the figure below, then simulated.",
    )


def _variants(table: pd.DataFrame, networks: tuple[str, ...]) -> Table:
    rows = []
    for variant in dict.fromkeys(table["variant"]):
        part = table[table["variant"] == variant].set_index("network")
        rows.append(
            [
                str(variant),
                *(f"{part['speedup'][n]:.3f}" if n in part.index else "" for n in networks),
                f"{part['speedup'].mean():.3f}",
                f"{part['operation_bound'].mean():.3f}",
                f"{part['energy_saving'].mean():.3f}",
                f"{100 * part['utilisation'].mean():.1f} %",
            ]
        )
    headings = [
        "variant", *(title(n) for n in networks), "mean", "mean operation bound",
        "mean energy, dense over this", "mean utilisation",
    ]  # fmt: skip
    return Table(f"Speedup over dense ({TIMES})", headings, rows)


def _parts(table: pd.DataFrame, networks: tuple[str, ...]) -> Table:
    indexed = table.set_index(["network", "part"])
    present = [part for part in (*PARTS, STEP) if table[table["part"] == part]["speedup"].any()]
    rows = [
        [
            title(network),
            *(
                f"{speedup:.3f}" if (speedup := indexed["speedup"][network, part]) else ""
                for part in present
            ),
        ]
        for network in networks
    ]
    return Table(f"Speedup of {_VARIANT} over dense by part ({TIMES})", ["network", *present], rows)


def _ablation(table: pd.DataFrame) -> Table:
    rows = []
    for (group, label), part in table.groupby(["group", "label"], sort=False):
        worst = part.nlargest(1, "sparse_loss").iloc[0]
        rows.append(
            [
                str(group),
                str(label),
                f"{100 * part['dense_loss'].mean():+.2f} %",
                f"{100 * part['sparse_loss'].mean():+.2f} %",
                f"{100 * worst['sparse_loss']:+.2f} % ({title(str(worst['network']))})",
                f"{100 * part['sparse_energy_loss'].mean():+.2f} %",
                f"{part['speedup'].mean():.3f}{TIMES}",
            ]
        )
    headings = [
        "optimisation", "setting", "dense step longer by (mean)", f"{_VARIANT} longer by (mean)",
        "at most", f"{_VARIANT} energy (mean)", "speedup that is left (mean)",
    ]  # fmt: skip
    return Table("Ablation", headings, rows, words=2)


def _errors(table: pd.DataFrame) -> Table:
    rows = [
        [
            str(row["engine"]),
            f"{row['operators']:,}",
            *(f"{100 * row[name]:.2f} %" for name in ("median", "p90", "p99", "largest")),
            f"{100 * row['total']:+.2f} %",
        ]
        for row in table.to_dict("records")
    ]
    return Table(
        "Size of the prediction error",
        ["engine", "operators", "median", "90 %", "99 %", "largest", "of all cycles"],
        rows,
        note="Simulated over predicted cycles - 1, of the dense and the headline runs.",
    )


def _regret(table: pd.DataFrame) -> Table:
    rows = []
    for network, part in table.groupby("network", sort=False):
        rows.append(
            [
                title(str(network)),
                f"{len(part):,}",
                f"{100 * (part['chosen'] == 'ws').mean():.0f} %",
                f"{100 * (part['regret'] <= 0.01).mean():.1f} %",
                f"{100 * (part['cycles'].sum() / part['best_cycles'].sum() - 1):.2f} %",
                f"{100 * (part['ws_cycles'].sum() / part['best_cycles'].sum() - 1):.1f} %",
                f"{100 * (part['os_cycles'].sum() / part['best_cycles'].sum() - 1):.1f} %",
            ]
        )
    return Table(
        "The offline choice of the dataflow against the better of both, simulated",
        ["network", "GEMMs", "weight-stationary", "within 1 % of the better", "cycles lost",
         "lost by always WS", "lost by always OS"],
        rows,
        note=f"GEMMs of the {_VARIANT} runs. The choice also weighs DRAM bytes (schedule_slack).",
    )  # fmt: skip


def _with_batches(findings: Findings) -> pd.DataFrame:
    """The sensitivity, with a row per further batch."""
    import pandas as pd

    rows = [
        {
            "group": "batch",
            "label": str(batch),
            "setting": f"batch-{batch}",
            "network": network,
            "batch": batch,
            "dense_seconds": pair.dense.summary.seconds,
            "seconds": pair.sparse.summary.seconds,
            "speedup": pair.speedup,
        }
        for batch in findings.other_batches
        for network, pair in headline_pairs(findings.runs, findings.networks, batch).items()
    ]
    return pd.concat([findings.sensitivity, pd.DataFrame(rows)], ignore_index=True)


def _batches(findings: Findings) -> Table:
    rows = []
    for batch in sorted((findings.batch, *findings.other_batches)):
        pairs = headline_pairs(findings.runs, findings.networks, batch)
        mean = fmean(pair.speedup for pair in pairs.values())
        rows.append(
            [str(batch), *(f"{pair.speedup:.3f}" for pair in pairs.values()), f"{mean:.3f}"]
        )
    headings = ["batch", *(title(n) for n in findings.networks), "mean"]
    return Table(f"Speedup of {_VARIANT} over dense by batch ({TIMES})", headings, rows)


def _timings(stages: tuple[Stage, ...]) -> Table:
    rows = []
    for stage in stages:
        made = stage.made
        rows.append(
            [
                stage.name,
                f"{len(made)} of {len(stage.done)}" if stage.done else "",
                f"{stage.wall_seconds:.1f}",
                f"{sum(one.cpu_seconds for one in made):.1f}" if made else "",
                f"{sum(one.rest_cpu_seconds for one in made):.1f}" if made else "",
                quantity(max(one.peak_bytes for one in made), "B") if made else "",
            ]
        )
    headings = [
        "stage", "made, the rest kept from before", "seconds", "CPU seconds of the step itself",
        "of reading and writing", "peak memory of a worker",
    ]  # fmt: skip
    mine, largest = (
        1024 * resource.getrusage(whose).ru_maxrss
        for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    note = (
        f"Peak resident memory: this process {quantity(mine, 'B')}, the largest worker "
        f"{quantity(largest, 'B')}."
    )
    return Table("What it took", headings, rows, note=note)
