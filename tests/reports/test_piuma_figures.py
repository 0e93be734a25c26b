"""Reports of PIUMA runs: the plates, and the numbers behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from reports.figures.piuma import piuma_plates, scaling_table
from reports.report import report
from reports.runs import load_runs
from sparsesim.results import write_folder
from sparsesim.simulate import run
from sparsesim.trace import CsrMatrix
from workloads.matrices.product_trace import spgemm_trace

RUNS = {
    "v3": {"kernel": "smash_v3"},
    "v4": {"kernel": "smash_v4"},
    "v4-2": {"kernel": "smash_v4", "cores": 2},
    "v4-4": {"kernel": "smash_v4", "cores": 4},
    "v4-x": {"kernel": "smash_v4", "cores": 4, "topology": "hyperx"},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    drawn = sp.random_array((300, 300), density=0.02, format="csr", rng=np.random.default_rng(1))
    trace = spgemm_trace("drawn", CsrMatrix.from_scipy(drawn))
    root = tmp_path_factory.mktemp("piuma")
    for name, overrides in RUNS.items():
        result = run(trace, "piuma", overrides=overrides, check=name == "v3")
        write_folder(result, root / name)
    return [root / name for name in RUNS]


def test_plates_and_their_data(folders: list[Path]) -> None:
    runs = load_runs(folders)
    plates = {plate.name: plate for plate in piuma_plates(runs)}
    assert sum(name.startswith("piuma-rates") for name in plates) == 2
    threads = plates["piuma-threads"].data
    assert (threads.groupby("run")["threads"].sum() == 64).all()
    table = scaling_table(runs)
    shares = table[[name for name in table if name.endswith("_percent")][:9]]
    assert np.allclose(shares.sum(axis=1), 100)
    series = table[(table["kernel"] == "smash_v4") & (table["topology"] == "mesh")]
    assert series["cores"].tolist() == [1, 2, 4]
    cycles = {run.path.name: run.summary.total_cycles for run in runs}
    assert series["speedup"].iloc[-1] == pytest.approx(cycles["v4"] / cycles["v4-4"])
    assert set(table["topology"]) == {"mesh", "hyperx"}
    assert (table["kernel"] == "smash_v4").all()  # one run of smash_v3 is no series


def test_a_report_of_piuma_runs(folders: list[Path], tmp_path: Path) -> None:
    page = report(folders, tmp_path / "report")
    text = page.read_text()
    assert "Thread utilisation" in text
    scaling = list((tmp_path / "report" / "data").glob("piuma-scaling-*.csv"))
    assert len(pd.read_csv(scaling[0])) == 5
