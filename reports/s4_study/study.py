"""The whole study: simulate in two processes, draw, tabulate, write one folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.s4_study.cases import CASES, Case
from reports.s4_study.reproduction import Reproduction, reproduce
from reports.s4_study.simulation import LIMITS, simulate_case
from sparsesim.atomic_output import atomic_folder

if TYPE_CHECKING:
    import pandas as pd

#: Board power at which sizes are compared, W: that of S4 and T4.
EQUAL_WATTS = 70.0


def study(
    out: Path,
    *,
    cases: Sequence[Case] = CASES,
    jobs: int = 2,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Run the study into the folder `out`; returns one row per network, machine and sparsity.

    Raises:
        InputError: `out` exists and may not be replaced, or a network cannot be captured.
    """
    import pandas as pd

    rows: dict[int, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        table = pool.submit(reproduce)
        waiting = {pool.submit(simulate_case, case): number for number, case in enumerate(cases)}
        for done, future in enumerate(as_completed(waiting)):
            rows[waiting[future]] = future.result()
            if progress is not None:
                progress(done + 1, len(cases) + 1)
        reproduction = table.result()
    if progress is not None:
        progress(len(cases) + 1, len(cases) + 1)
    results = pd.DataFrame([row for number in sorted(rows) for row in rows[number]])
    with atomic_folder(out, force) as folder:
        _write(folder, results, reproduction)
    return results


def _write(folder: Path, results: pd.DataFrame, reproduction: Reproduction) -> None:
    from reports.figures.board_power import draw_board_power
    from reports.figures.limit_stack import draw_limit_stack
    from reports.figures.style import house_style

    results.to_csv(folder / "results.csv", index=False)
    reproduction.table.to_csv(folder / "reproduction.csv", index=False)
    s4 = results[(results["machine"] == "s4") & results["limits"]]
    with house_style():
        if not s4.empty:
            draw_limit_stack(s4, LIMITS).write(folder)
        if (results["family"] != "").any():
            draw_board_power(results, EQUAL_WATTS).write(folder)
    (folder / "study.md").write_text(page(results, reproduction))


def page(results: pd.DataFrame, reproduction: Reproduction) -> str:
    """The study's numbers as Markdown."""
    lines = [
        "# S4 study",
        "",
        "## Published rates beside predictions",
        "",
        "Predicted: the machine files as they ship, nothing fitted. Calibrated: "
        + ", ".join(f"`{name}={value}`" for name, value in reproduction.knobs.items())
        + ", fitted on the rows marked so.",
        "",
        "| point | published /s | predicted /s | error | calibrated /s | error | role |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in reproduction.table.to_dict("records"):
        lines.append(
            f"| {row['point']} | {row['published_per_second']:,.0f} | "
            f"{row['predicted_per_second']:,.0f} | {row['predicted_error']:+.1%} | "
            f"{row['calibrated_per_second']:,.0f} | {row['calibrated_error']:+.1%} | "
            f"{row['role']} |"
        )
    lines += ["", "## Samples per second", ""]
    s4 = results[results["machine"] == "s4"]
    levels = sorted(s4["sparsity"].unique())
    lines += [
        "| network | " + " | ".join(f"S4 {level}x" for level in levels)
        + " | T4 | A100 2:4 | systolic |",
        "|---" + "|---:" * (len(levels) + 3) + "|",
    ]  # fmt: skip
    for network, part in results.groupby("network", sort=False):
        rate = part.set_index(["machine", "prune"])["samples_per_second"]
        cells = [rate["s4", f"balanced:{level}"] for level in levels]
        cells += [rate["t4", "none"], rate["a100", "nm:2:4"], rate["systolic", "none"]]
        lines.append(f"| {network} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")
    return "\n".join(lines) + "\n"
