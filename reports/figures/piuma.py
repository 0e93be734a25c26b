"""PIUMA: how busy threads are, rates over time, and scaling over cores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.figures.plate import Plate
from reports.figures.style import (
    CYCLE_COLOURS,
    CYCLE_NAMES,
    FAINT,
    FULL,
    INK,
    MARKERS,
    SERIES_COLOURS,
    legend_above,
    new_figure,
)
from reports.labels import slug
from reports.runs import Run
from reports.units import TIMES, axis_prefix

if TYPE_CHECKING:
    import pandas as pd

FAMILY = "piuma"
BINS = 20


def piuma_plates(runs: Sequence[Run]) -> Iterator[Plate]:
    """Plates of the runs that ran on a PIUMA machine; none without such runs."""
    mine = [run for run in runs if _details(run)]
    single = [run for run in mine if _cores(run) == 1]
    if mine:
        yield draw_thread_utilisation(single or mine)
    for run in single:
        yield draw_rates(run)
    by_work: dict[tuple[Any, ...], list[Run]] = {}
    for run in mine:
        key = (run.network, *run.work)
        by_work.setdefault(key, []).append(run)
    for group in by_work.values():
        if len({_cores(run) for run in group}) > 1:
            yield draw_scaling(group)


def _details(run: Run) -> dict[str, Any]:
    """Details of the run's longest operator on PIUMA, empty for other machines."""
    found = [part for part in run.details.values() if "thread_utilisation" in part]
    return max(found, key=lambda part: int(part["cycles"]), default={})


def _cores(run: Run) -> int:
    return int(run.machine.parameters["cores"])


def _kernel(run: Run) -> str:
    return str(run.machine.parameters["kernel"])


def _topology(run: Run) -> str:
    return str(run.machine.parameters["topology"])


def draw_thread_utilisation(runs: Sequence[Run]) -> Plate:
    """Histogram per run: the share of the run in which a thread had work."""
    import pandas as pd

    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    figure = new_figure(FULL, 0.55 + 1.15 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    edges = np.linspace(0, 100, BINS + 1)
    table = []
    for place, run in enumerate(runs):
        share = 100 * np.array(_details(run)["thread_utilisation"])
        count, _ = np.histogram(share, edges)
        axis = axes[place]
        percent = 100 * count / share.size
        axis.bar(edges[:-1], percent, np.diff(edges), align="edge", color=SERIES_COLOURS[0])
        axis.axvline(share.mean(), color=INK, linewidth=0.8, linestyle="--")
        axis.set_title(f"{_kernel(run)} ({run.network}): mean {share.mean():.0f} %", fontsize=7)
        table += [
            {"run": run.label, "from_percent": low, "to_percent": high, "threads": int(number)}
            for low, high, number in zip(edges[:-1], edges[1:], count, strict=True)
        ]
    for spare in axes[len(runs) :]:
        spare.set_visible(False)
    for above in axes[max(0, len(runs) - columns) : len(runs)]:
        above.tick_params(labelbottom=True)
    figure.supxlabel("share of the run in which a thread has work, %", fontsize=8)
    figure.supylabel("threads, %", fontsize=8)
    return Plate(
        name="piuma-threads",
        title="Thread utilisation",
        caption=(
            "Threads of the multi-threaded pipelines by the share of the run in which they are "
            "neither at a barrier nor at their end. Dashed: mean."
        ),
        figure=figure,
        data=pd.DataFrame(table),
        wide=True,
    )


def draw_rates(run: Run) -> Plate:
    """Instructions per clock and DRAM utilisation over the run, phases of core 0 above."""
    import pandas as pd

    details = _details(run)
    series = pd.DataFrame(details["series"])
    divisor, prefix = axis_prefix(float(details["cycles"]))
    figure = new_figure(FULL, 2.0)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1])
    starts = [0, *series["cycle"]]
    peak = int(run.machine.parameters["pipelines"]) * _cores(run)
    for axis, column, colour, limit, label in (
        (top, "ipc", SERIES_COLOURS[0], peak, "instructions\nper clock"),
        (bottom, "dram_utilisation", SERIES_COLOURS[1], 1.0, "DRAM\nutilisation"),
    ):
        if len(series):
            axis.stairs(series[column], np.array(starts) / divisor, color=colour, fill=True)
        axis.set_ylim(0, limit * 1.02)
        axis.set_ylabel(label)
    spans = details["spans"]
    names = list(dict.fromkeys(span["name"] for span in spans if span["name"] != "finishing"))
    for span in spans:
        if span["name"] in names:
            shade = ("#FFFFFF", "#E4E4EC", "#F6E3DC", "#DDEEDD")[names.index(span["name"]) % 4]
            for axis in (top, bottom):
                first = span["start"] / divisor
                last = first + span["cycles"] / divisor
                axis.axvspan(first, last, color=shade, zorder=0, linewidth=0)
    bottom.set_xlim(0, details["cycles"] / divisor)
    bottom.set_xlabel(f"{prefix}clocks")
    shades = ("white", "grey", "red", "green")
    legend = ", ".join(f"{name} {shades[place % 4]}" for place, name in enumerate(names))
    return Plate(
        name=f"piuma-rates-{slug(run.label)}",
        title=f"Rates over time: {run.label}",
        caption=(
            f"Averages over {len(series)} intervals. Phases of core 0 in the background: {legend}. "
            f"The upper axis ends at one instruction per pipeline and clock ({peak}), the lower "
            "at the peak of the DRAM pins."
        ),
        figure=figure,
        data=series,
        wide=True,
    )


def draw_scaling(runs: Sequence[Run]) -> Plate:
    """Left: speedup over cores; right: what the pipelines of the first kernel's runs wait for."""
    table = scaling_table(runs)
    figure = new_figure(FULL, 2.7)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    cores = sorted(table["cores"].unique())
    left.plot(cores, cores, color=FAINT, linewidth=0.8, linestyle=":", label="linear")
    series = list(table.groupby(["kernel", "topology"], sort=False))
    for place, ((kernel, topology), part) in enumerate(series):
        left.plot(
            part["cores"],
            part["speedup"],
            marker=MARKERS[place % len(MARKERS)],
            markersize=3.5,
            color=SERIES_COLOURS[place % len(SERIES_COLOURS)],
            label=f"{kernel}, {topology}",
        )
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks(cores, [str(int(number)) for number in cores])
        axis.set_xlabel("cores")
        axis.minorticks_off()
    left.set_yscale("log", base=2)
    left.set_yticks(cores, [str(int(number)) for number in cores])
    left.minorticks_off()
    left.set_ylabel(f"speedup over one core, {TIMES}")
    left.legend(loc="upper left", fontsize=6.5)
    (kernel, topology), part = max(series, key=lambda one: len(one[1]))
    parts = [name for name in CYCLE_COLOURS if part[f"{name}_percent"].to_numpy().any()]
    bottom = np.zeros(len(part))
    places = np.log2(part["cores"].to_numpy(float))
    for name in parts:
        share = part[f"{name}_percent"].to_numpy(float)
        right.bar(
            2.0**places,
            share,
            width=0.6 * 2.0**places,
            bottom=bottom,
            color=CYCLE_COLOURS[name],
            label=CYCLE_NAMES.get(name, name),
        )
        bottom += share
    right.set_ylim(0, 100)
    right.set_ylabel("clocks of multi-threaded pipelines, %")
    right.set_title(f"{kernel}, {topology}", fontsize=7)
    legend_above(figure, *right.get_legend_handles_labels())
    return Plate(
        name=f"piuma-scaling-{slug(runs[0].network)}",
        title=f"Scaling over cores: {runs[0].network}",
        caption=(
            "Speedup in clocks over the one-core run of the same kernel, and where the clocks of "
            "the multi-threaded pipelines go. The data also lists network, atomics and DRAM."
        ),
        figure=figure,
        data=table,
        wide=True,
    )


def scaling_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run: cores, speedup, shares of clocks in percent, and what may stop scaling.

    The one-core run has no network, so it starts the series of every topology.
    """
    import pandas as pd

    rows = []
    topologies = {
        kernel: {_topology(run) for run in runs if _kernel(run) == kernel and _cores(run) > 1}
        for kernel in {_kernel(run) for run in runs}
    }
    for run in sorted(runs, key=_cores):
        details = _details(run)
        if "sampling" in details:
            continue
        pipelines = [engine for name, engine in run.summary.engines.items() if ".mtc" in name]
        clocks = len(pipelines) * run.summary.total_cycles
        shares = {
            f"{name}_percent": 100
            * sum(
                engine.busy_cycles if name == "busy" else engine.stall_cycles[name]
                for engine in pipelines
            )
            / clocks
            for name in CYCLE_COLOURS
        }
        by_core = details["dram_words_by_core"]
        common = {
            "kernel": _kernel(run),
            "cores": _cores(run),
            "cycles": run.summary.total_cycles,
            **shares,
            "dram_utilisation_percent": 100 * details["dram_utilisation"],
            "dram_busiest_core_over_mean": max(by_core) * len(by_core) / max(1, sum(by_core)),
            "messages": details["messages"],
            "port_wait_cycles_per_message": details["port_wait_cycles"]
            / max(1, details["messages"]),
            "remote_atomics": details["remote_atomics"],
            "mean_thread_utilisation_percent": 100 * details["mean_thread_utilisation"],
        }
        kernel_topologies = topologies[_kernel(run)]
        if len(kernel_topologies) == 0:
            continue
        for topology in sorted(kernel_topologies) if _cores(run) == 1 else [_topology(run)]:
            rows.append({"topology": topology, **common})
    table = pd.DataFrame(rows).sort_values(["kernel", "topology", "cores"])
    first = table.groupby(["kernel", "topology"])[["cores", "cycles"]].transform("first")
    table["speedup"] = first["cores"] * first["cycles"] / table["cycles"]
    return table.reset_index(drop=True)
