"""The verb: pages that stand alone, figures that exist, and errors that speak."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml

import sparsesim
from reports.report import report
from sparsesim.errors import InputError
from tests.reports.synthetic_runs import operator, resnet9, run_result, stored, training_run
from tests.reports.synthetic_sweeps import point, sweep_folder

DOCS = Path(__file__).parents[2] / "docs"


class Resources(HTMLParser):
    """Collects what a browser would fetch, and the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "background"):
                self.fetched.append(value or "")
            elif name == "href":
                (self.linked if tag == "a" else self.fetched).append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(page: Path) -> Resources:
    parser = Resources()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


@pytest.fixture(scope="module")
def whole(result_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four runs and a sweep."""
    root = tmp_path_factory.mktemp("whole")
    rows = [point(4.0 / (i + 1), 1.0 + i, rows=8 << i) for i in range(4)]
    sweep = sweep_folder(root / "sweep", [*rows, point(None, None, rows=128)])
    return report([*result_folders.values(), sweep], root / "out")


def test_the_page_needs_nothing_but_itself(whole: Path) -> None:
    content = read_page(whole)
    assert content.fetched
    assert all(uri.startswith("data:") for uri in content.fetched)
    assert not content.tags & {"script", "link", "iframe", "object", "embed"}
    text = whole.read_text()
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"@import|url\(", text)


def test_links_lead_to_files_of_the_report(whole: Path) -> None:
    links = read_page(whole).linked
    assert links
    for link in links:
        assert (whole.parent / link).is_file(), link


def test_every_figure_comes_as_png_svg_and_data(whole: Path) -> None:
    names = {path.stem for path in (whole.parent / "figures").iterdir()}
    assert {
        "speedup",
        "energy",
        "cycles-engines",
        "cycles-phases-resnet18-dense",
        "layers-resnet18-bdwp-2-8",
        "ladder-resnet9-bdwp-2-8",
        "roofline-resnet9-dense",
        "pareto-sweep",
        "sensitivity-sweep",
    } <= names
    for name in names:
        png = (whole.parent / "figures" / f"{name}.png").read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", png[16:24])
        assert width >= 3.4 * 200, name  # at least 200 dots per inch at column width
        assert height > 200, name
        dots_per_metre = struct.unpack(">I", png[png.index(b"pHYs") + 4 :][:4])[0]
        assert dots_per_metre * 0.0254 >= 200
        assert (whole.parent / "figures" / f"{name}.svg").read_text().rstrip().endswith("</svg>")
        assert len(pd.read_csv(whole.parent / "data" / f"{name}.csv")), name


def test_figures_are_not_blank(whole: Path) -> None:
    from matplotlib.image import imread

    for path in (whole.parent / "figures").glob("*.png"):
        pixels = imread(path)[..., :3]
        assert 0.01 < (pixels.min(axis=2) < 0.99).mean() < 0.9, path.name


def test_the_page_says_how_far_to_trust_it(whole: Path) -> None:
    text = " ".join(read_page(whole).text.split())
    assert "uncalibrated" in text
    assert "Machine sat: 3 of its 4 parameters are assumed, 1 published." in text
    assert "average of 5 networks and not of the network shown" in text
    assert "4 of 5 design points done, 1 failed." in text
    assert "rows: must be at least 1" in text
    assert "Left dense in resnet18 BDWP 2:8: conv1 (3 channels)." in text
    assert "no static or leakage power" in text
    assert "0.926" in text  # accuracy beside speedup


def test_definitions_are_in_the_footer_and_in_the_docs(whole: Path) -> None:
    text = " ".join(read_page(whole).text.split())
    short = yaml.safe_load(
        (Path(sparsesim.__file__).parents[1] / "reports" / "definitions.yaml").read_text()
    )
    headings = re.findall(r"^## (.+)$", (DOCS / "definitions.md").read_text(), re.MULTILINE)
    assert len(short) >= 7
    for term, meaning in short.items():
        assert " ".join(meaning.split()) in text
        assert term in headings


def test_the_speedup_figure_and_the_table_agree(whole: Path) -> None:
    table = pd.read_csv(whole.parent / "data" / "speedup.csv")
    text = read_page(whole).text
    assert len(table) == 2
    for speedup in table["speedup"]:
        assert f"{speedup:.3f}" in text


def test_same_input_same_bytes(tmp_path: Path) -> None:
    folder = stored(training_run("resnet9", resnet9()), tmp_path / "r")
    first = report([folder], tmp_path / "one").read_bytes()
    assert report([folder], tmp_path / "two").read_bytes() == first


def test_missing_baseline_is_said_and_left_out(tmp_path: Path) -> None:
    folder = stored(training_run("resnet9", resnet9(), (2, 8)), tmp_path / "r")
    page = report([folder], tmp_path / "out")
    text = " ".join(read_page(page).text.split())
    reason = "no dense run of this network was given"
    assert f"No speedup is shown for resnet9 BDWP 2:8: {reason}." in text
    names = {path.stem for path in (tmp_path / "out" / "figures").iterdir()}
    assert not any(name.startswith(("speedup", "ladder", "layers")) for name in names)
    assert "cycles-engines" in names


def test_of_many_variants_the_fastest_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.report.MOST_PAIRS_DRAWN", 1)
    folders = [
        stored(training_run("resnet9", resnet9(), keep), tmp_path / str(number))
        for number, keep in enumerate((None, (4, 8), (2, 8)))
    ]
    page = report(folders, tmp_path / "out")
    text = " ".join(read_page(page).text.split())
    assert "drawn for the fastest of 2 variants, resnet9 BDWP 2:8" in text
    drawn = [path.stem for path in (tmp_path / "out" / "figures").glob("ladder*.png")]
    assert len(drawn) == 1
    assert "2-8" in drawn[0]


CHECK = {
    "values": "equal to NumPy in every bit",
    "clocks": "stepped equal to fast",
    "passes_checked": 1200,
    "passes": 3400,
    "operators": {},
}


def test_a_check_is_told_of_the_run_that_was_checked(tmp_path: Path) -> None:
    dense = stored(training_run("resnet9", resnet9()), tmp_path / "dense")
    sparse = replace(training_run("resnet9", resnet9(), (2, 8)), check=CHECK)
    page = report([dense, stored(sparse, tmp_path / "sparse")], tmp_path / "out")
    text = " ".join(read_page(page).text.split())
    assert (
        "Checked resnet9 BDWP 2:8: 1,200 of 3,400 passes (values: equal to NumPy in every bit; "
        "clocks: stepped equal to fast)."
    ) in text
    assert text.count("Checked ") == 1


def test_a_damaged_check(tmp_path: Path) -> None:
    run = replace(training_run("resnet9", resnet9()), check={**CHECK, "passes": -1})
    with pytest.raises(InputError, match=r"check\.json.*passes") as error:
        report([stored(run, tmp_path / "r")], tmp_path / "out")
    assert "\n" not in str(error.value)


def test_one_dense_run_only(tmp_path: Path) -> None:
    folder = stored(training_run("resnet9", resnet9()), tmp_path / "r")
    page = report([folder], tmp_path / "out")
    assert "No speedup" not in read_page(page).text
    assert (tmp_path / "out" / "figures" / "roofline-resnet9-dense.png").is_file()


def test_a_run_without_gemms_energy_or_traffic(tmp_path: Path) -> None:
    only = operator("relu", "relu", "inference", kind="elementwise", engine="vector", busy=7)
    folder = stored(run_result([only], phase="inference"), tmp_path / "r")
    page = report([folder], tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out" / "figures").iterdir()} == {
        "cycles-engines",
        "cycles-phases-net-dense",
    }
    assert "net dense" in read_page(page).text


def test_gemms_without_dram_traffic(tmp_path: Path) -> None:
    only = operator("fc", "fc", "inference", busy=7, macs_dense=70, macs_effective=70)
    folder = stored(run_result([only], phase="inference"), tmp_path / "r")
    assert report([folder], tmp_path / "out").is_file()


def test_sweep_only(tmp_path: Path) -> None:
    rows = [point(1.0 + i, 2.0, rows=i, cols=-i) for i in range(3)]
    page = report([sweep_folder(tmp_path / "s", rows)], tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out" / "figures").iterdir()} == {"pareto-s"}
    assert "Pareto front" in read_page(page).text


def test_sweeps_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    folders = []
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        rows = [point(1.0, 2.0, rows=1), point(2.0, 1.0, rows=2)]
        folders.append(sweep_folder(tmp_path / parent / "s", rows))
    report(folders, tmp_path / "out")
    names = {path.stem for path in (tmp_path / "out" / "data").iterdir()}
    assert names == {"pareto-s", "pareto-s-2", "sensitivity-s", "sensitivity-s-2"}


def test_all_design_points_failed(tmp_path: Path) -> None:
    folder = sweep_folder(tmp_path / "s", [point(None, None, rows=i) for i in range(2)])
    page = report([folder], tmp_path / "out")
    assert "0 of 2 design points done, 2 failed." in read_page(page).text


def test_names_are_escaped(tmp_path: Path) -> None:
    only = operator("<b>x</b>", "a", "FF", busy=7, macs_dense=7, macs_effective=7)
    folder = stored(run_result([only], source="<script>alert(1)</script>"), tmp_path / "r")
    page = report([folder], tmp_path / "out")
    assert "script" not in read_page(page).tags
    assert "<b>x</b>" not in page.read_text()


def test_dollar_signs_in_names_are_not_formulas(tmp_path: Path) -> None:
    only = operator("a", "$x^$", "FF", busy=7, macs_dense=7, macs_effective=7)
    folder = stored(run_result([only], source="net$_{$"), tmp_path / "r")
    assert report([folder], tmp_path / "out").is_file()


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_not_a_folder_of_ours(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "empty":
        path.mkdir()
    if kind == "file":
        path.write_text("")
    with pytest.raises(InputError, match=r"no such folder|neither a result folder") as error:
        report([path], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_no_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one result or sweep folder"):
        report([], tmp_path / "out")


def test_damaged_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = stored(training_run("resnet9", resnet9()), tmp_path / "r")
    (folder / "operators.csv").write_text("operator,layer\n1,2\n")
    with pytest.raises(InputError, match=r"operators\.csv: column .* is missing"):
        report([folder], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_existing_output_needs_force(tmp_path: Path) -> None:
    folder = stored(training_run("resnet9", resnet9()), tmp_path / "r")
    out = tmp_path / "out"
    report([folder], out)
    with pytest.raises(InputError, match="--force"):
        report([folder], out)
    (out / "stale").touch()
    assert report([folder], out, force=True) == out / "index.html"
    assert not (out / "stale").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").touch()
    with pytest.raises(InputError, match="will not replace it"):
        report([folder], foreign, force=True)


def test_the_verb_is_reachable_from_the_package() -> None:
    assert sparsesim.report is report
