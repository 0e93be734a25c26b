"""The numbers behind each figure, from hand-made results."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.figures.breakdown import draw_engines, draw_phases, engine_table, phase_table
from reports.figures.energy import draw_energy, energy_table
from reports.figures.ladder import draw_ladder, ladder_table
from reports.figures.layers import draw_layers, layer_table, readable
from reports.figures.plate import Plate
from reports.figures.roofline import dense_equivalent_factor, draw_roofline, roofline_table
from reports.figures.speedup import draw_speedup, speedup_table
from reports.figures.style import CYCLE_COLOURS, house_style, series_colours
from reports.papers.published import applicable_speedups, read_papers
from reports.runs import Pair, load_runs, pair_up
from sparsesim.results import OperatorResult
from tests.reports.clipping import clipped_texts
from tests.reports.synthetic_runs import deep, operator, run_result, stored, training_run


def hand_made(sparse: bool) -> list[OperatorResult]:
    """Two layers: `stem` is never pruned, `body` keeps a quarter of FF and all of WU."""
    body = 2_048_000 if sparse else 8_192_000
    return [
        operator(
            "stem.FF", "stem", "FF", start=0, busy=1000, stalls={"fill_drain": 100},
            macs_dense=1_024_000, macs_effective=1_024_000,
        ),
        operator(
            "body.FF", "body", "FF", start=1100, busy=2500 if sparse else 9000,
            stalls={"fill_drain": 300 if sparse else 200, "bank_conflict": 50 if sparse else 10,
                    "memory": 900, "dependency": 30, "input": 20, "output": 5, "imbalance": 7},
            macs_dense=8_192_000, macs_effective=body,
            byte_counts={"dram_a_read": 3000, "dram_b_read": 700, "dram_metadata_read": 96,
                         "dram_output_write": 300, "scratchpad_a_read": 10**6},
            energy_pj={"multiply": 3e6 if sparse else 9e6, "dram": 1e6},
            pattern="2:8@k" if sparse else "dense",
        ),
        operator(
            "body.WU", "body", "WU", start=12_000, busy=8500, stalls={"fill_drain": 250},
            macs_dense=8_192_000, macs_effective=8_192_000,
        ),
        operator(
            "body.relu", "body", "FF", kind="elementwise", engine="vector", start=20_750, busy=40,
            stalls={"memory": 60}, byte_counts={"dram_a_read": 5000}, energy_pj={"vector": 2e6},
        ),
    ]  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    dense = stored(run_result(hand_made(False), tail_cycles=150), tmp_path / "dense")
    sparse = run_result(hand_made(True), prune="nm:2:8", method="bdwp", tail_cycles=90)
    pairs, unpaired = pair_up(load_runs([dense, stored(sparse, tmp_path / "sparse")]))
    assert not unpaired
    return pairs[0]


def test_speedup_is_a_ratio_of_seconds_with_the_operation_bound(pair: Pair) -> None:
    row = speedup_table([pair]).iloc[0]
    assert row["speedup"] == pair.dense.summary.seconds / pair.sparse.summary.seconds
    assert row["operation_bound"] == (1_024_000 + 2 * 8_192_000) / (
        1_024_000 + 2_048_000 + 8_192_000
    )


def test_ladder_rungs_from_hand_made_numbers(pair: Pair) -> None:
    table = ladder_table(pair).set_index("step")
    # Ideal cycles are MACs over 1024 MACs per clock.
    assert table.loc["pruned layers only", ["dense_cycles", "sparse_cycles"]].tolist() == [
        16_000.0,
        10_000.0,
    ]
    assert table["dense_cycles"].tolist()[1:-1] == [17_000, 18_562, 19_112, 19_122, 20_022]
    assert table["sparse_cycles"].tolist()[1:-1] == [11_000, 12_062, 12_712, 12_762, 13_662]
    assert table["speedup"].iloc[0] == 1.6
    assert table["speedup"].iloc[2] == 18_562 / 12_062
    assert table["change"].iloc[1] == pytest.approx(17 / 11 - 1.6)


def test_last_rung_is_the_predicted_speedup_exactly(pair: Pair) -> None:
    table = ladder_table(pair)
    assert table["step"].iloc[-1] == "element-wise, idle"
    assert table["speedup"].iloc[-1] == pair.dense.summary.seconds / pair.sparse.summary.seconds
    assert table["dense_cycles"].iloc[-1] == 20_850 + 150
    assert table["change"].sum() + table["speedup"].iloc[0] == pytest.approx(pair.speedup)


def test_last_gemm_rung_counts_every_gemm_cycle(pair: Pair) -> None:
    memory = ladder_table(pair).set_index("step").loc["memory"]
    for run, column in ((pair.dense, "dense_cycles"), (pair.sparse, "sparse_cycles")):
        idle = run.macs["stall_idle_cycles"].sum()
        assert memory[column] == run.macs["cycles"].sum() - idle


def test_layer_cycles_and_speedup(pair: Pair) -> None:
    table = layer_table(pair).set_index(["layer", "phase"])
    assert list(dict.fromkeys(table.index.get_level_values("layer"))) == ["stem", "body"]
    assert table.loc[("body", "FF"), "dense_cycles"] == 10_172
    assert table.loc[("body", "FF"), "sparse_cycles"] == 3_812
    assert table.loc[("body", "FF"), "speedup"] == 10_172 / 3_812
    assert table.loc[("body", "WU"), "speedup"] == 1.0
    assert table.loc[("body", "all"), "speedup"] == (10_172 + 8_750) / (3_812 + 8_750)


def test_many_layers_are_folded_without_losing_cycles() -> None:
    count = 100
    cycles = np.arange(count, 0, -1) * 10.0
    table = pd.DataFrame(
        {
            "layer": np.repeat([f"l{i}" for i in range(count)], 2),
            "phase": ["FF", "all"] * count,
            "dense_cycles": np.repeat(cycles, 2),
            "sparse_cycles": np.repeat(cycles / 4, 2),
            "speedup": 4.0,
        }
    )
    shown = readable(table, limit=80)
    whole = shown[shown["phase"] == "all"]
    assert len(whole) == 80
    assert whole["layer"].iloc[-1] == "21 other layers"
    assert whole["dense_cycles"].sum() == cycles.sum()
    assert whole["speedup"].iloc[-1] == 4.0
    assert readable(table, limit=100) is table


def test_engine_cycles_add_up(pair: Pair) -> None:
    table = engine_table([pair.dense, pair.sparse])
    parts = [column for column in table if column.startswith(("busy", "stall"))]
    assert len(parts) == len(CYCLE_COLOURS)
    assert (table[parts].sum(axis=1) == table["total_cycles"]).all()
    dense_array = table.iloc[0]
    assert dense_array["stall_bank_conflict_cycles"] == 10
    assert dense_array["stall_fill_drain_cycles"] == 550


def test_phase_cycles(pair: Pair) -> None:
    table = phase_table([pair.dense, pair.sparse])
    rows = list(zip(table["work"], table["phase"], table["cycles"], strict=True))
    assert rows == [
        ("GEMM", "FF", 1_100 + 10_172),
        ("GEMM", "FF", 1_100 + 3_812),
        ("GEMM", "WU", 8_750),
        ("GEMM", "WU", 8_750),
        ("element-wise", "FF", 100),
        ("element-wise", "FF", 100),
    ]
    assert table["run"].tolist()[:2] == ["net dense", "net BDWP 2:8"]


def test_energy_in_joules_against_the_dense_run(pair: Pair) -> None:
    table = energy_table([[pair.dense, pair.sparse], [pair.sparse]])
    assert table["multiply_j"].tolist() == pytest.approx([9e-6, 3e-6, 3e-6])
    assert table["total_j"].tolist() == pytest.approx([12e-6, 6e-6, 6e-6])
    assert table["reference_j"].tolist() == pytest.approx([12e-6, 12e-6, 6e-6])
    assert table["total_j"].iloc[1] == pytest.approx(pair.sparse.summary.energy_j)


def test_bars_too_short_to_see_still_tell_their_total(pair: Pair) -> None:
    with house_style():
        plate = draw_energy([[pair.dense, pair.sparse]])
    axes = plate.figure.axes[0]
    assert axes.get_xlim()[0] == 0.0
    assert [text.get_text() for text in axes.texts] == ["12.0 µJ", "6.00 µJ"]
    assert "no static or leakage power" in plate.caption


def test_no_line_or_bar_crosses_the_numbers_of_the_ladder(pair: Pair) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with house_style():
        plate = draw_ladder(pair, applicable_speedups([pair]))
        canvas = FigureCanvasAgg(plate.figure)
        canvas.draw()
        axes = plate.figure.axes[0]
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts]
    assert len(boxes) == len(plate.data) + 1
    assert all(box.x0 > axes.get_window_extent().x1 for box in boxes)


def test_roofline_points(pair: Pair) -> None:
    table = roofline_table([pair.sparse]).set_index("operator")
    body = table.loc["body.FF"]
    assert body["dram_bytes"] == 3000 + 700 + 96 + 300  # scratchpad bytes do not count
    assert body["intensity_macs_per_byte"] == 2_048_000 / 4096
    assert body["macs_per_cycle"] == 2_048_000 / 3_812
    assert np.isnan(table.loc["stem.FF", "intensity_macs_per_byte"])  # no DRAM traffic
    assert np.isnan(table.loc["body.relu", "macs_per_cycle"])
    assert table.loc["body.relu", "bytes_per_cycle"] == 50.0
    assert dense_equivalent_factor(pair.sparse) == 4.0
    assert dense_equivalent_factor(pair.dense) == 1.0


def test_no_point_lies_above_the_roof(result_folders: dict[str, Path]) -> None:
    runs = load_runs(list(result_folders.values()))
    for run in runs:
        points = roofline_table([run]).dropna()
        roof = np.minimum(
            run.machine.peak_macs_per_cycle,
            run.machine.dram_bytes_per_cycle * points["intensity_macs_per_byte"],
        )
        assert (points["macs_per_cycle"] <= roof + 1e-9).all()


def test_published_speedup_only_where_it_applies(pair: Pair, tmp_path: Path) -> None:
    found = applicable_speedups([pair])
    assert [item.value for item in found] == [1.75]
    assert "average of 5 networks" in found[0].label
    assert "not calibrated" in found[0].caption
    dense = stored(run_result(hand_made(False), phase="inference"), tmp_path / "d")
    sparse = run_result(hand_made(True), phase="inference", prune="nm:2:8", method="bdwp")
    pairs, _ = pair_up(load_runs([dense, stored(sparse, tmp_path / "s")]))
    assert len(pairs) == 1
    assert applicable_speedups(pairs) == []


def test_every_published_figure_names_its_source() -> None:
    papers = read_papers()
    assert [paper.family for paper in papers] == ["sat"]
    for paper in papers:
        assert paper.citation
        assert all(entry.source for entry in paper.speedups)


def test_the_check_for_clipped_texts_can_fail() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2), layout="constrained")
    axes = figure.subplots()
    axes.set_ylabel("a label that is much longer than the figure is high, at any size of font")
    plate = Plate("name", "title", "caption", figure, pd.DataFrame())
    assert clipped_texts(plate) == [axes.get_ylabel()]


def test_nothing_is_clipped_even_with_long_names(tmp_path: Path) -> None:
    source = "an_unusually_long_network_name_v2"
    layers = deep(60)
    dense = stored(training_run(source, layers), tmp_path / "dense")
    sparse = stored(training_run(source, layers, (2, 8)), tmp_path / "sparse")
    runs = load_runs([dense, sparse])
    pairs, _ = pair_up(runs)
    published = applicable_speedups(pairs)
    with house_style():
        for plate in (
            draw_speedup(pairs, published),
            draw_ladder(pairs[0], published),
            draw_layers(pairs[0]),
            draw_engines(runs),
            draw_phases(runs),
            draw_energy([runs]),
            draw_roofline(runs),
        ):
            assert clipped_texts(plate) == [], plate.name


def test_many_runs_stay_legible(tmp_path: Path) -> None:
    folders = []
    for batch in (8, 32, 128, 512):
        for method in ("dense", "srste", "sdgp", "sdwp", "bdwp")[: 5 if batch == 8 else 2]:
            for n in (1, 2) if method != "dense" else (1,):
                keep = None if method == "dense" else (n, 8)
                facts = {} if keep is None else {"prune": f"nm:{n}:8", "method": method}
                run = training_run("resnet_tiny", deep(4), keep, batch=batch, **facts)
                folders.append(stored(run, tmp_path / f"{batch}-{method}-{n}"))
    runs = load_runs(folders)
    pairs, _ = pair_up(runs)
    with house_style():
        plate = draw_speedup(pairs, [])
        assert clipped_texts(plate) == []
        renderer = FigureCanvasAgg(plate.figure).get_renderer()
        labels = plate.figure.axes[0].get_xticklabels()
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert len(boxes) == 4
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))
        many = [replace(run, label=f"{run.label} {copy}") for copy in range(5) for run in runs]
        engines = draw_engines(many)
    bars = series_colours(list(dict.fromkeys(pair.sparse.variant for pair in pairs)))
    assert len(set(bars.values())) == len(bars) == 8
    shown = engines.figure.axes[0].get_yticks()
    assert len(many) <= len(shown) <= max(64, len(many)) < len(engines.data)
    assert len(engines.data) == 2 * len(many)


def test_sixty_layers_keep_a_row_each(tmp_path: Path) -> None:
    dense = stored(training_run("deep", deep(60)), tmp_path / "dense")
    sparse = stored(training_run("deep", deep(60), (2, 8)), tmp_path / "sparse")
    pairs, _ = pair_up(load_runs([dense, sparse]))
    with house_style():
        plate = draw_layers(pairs[0])
    assert plate.data["layer"].nunique() == 60
    labels = [text.get_text() for text in plate.figure.axes[0].get_yticklabels()]
    assert len(labels) == 60
    height_per_row = plate.figure.get_figheight() * 72 / 60
    assert height_per_row >= 9  # points; the labels are 6.5 points high
