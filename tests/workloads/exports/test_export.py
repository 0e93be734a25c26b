"""Exported products, read back by the rules of the simulators they are for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from sparsesim.trace import Gemm, Manifest, SpGemm, Trace, pack, save
from tests.cli.command_line import done, refused
from tests.trace.small_traces import gemm, manifest_of, relu, traces, two_of_eight
from workloads.exports.export import export
from workloads.matrices.generators import generate
from workloads.matrices.product_trace import spgemm_trace, spmm_trace

ONE_FILE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def conv_gemm(**changes: Any) -> dict[str, Any]:
    """7 x 9 images with 4 channels, 3 x 3 filters by steps of 2: some rows are never reached."""
    conv = {
        "batch": 1, "height": 7, "width": 10, "channels": 4, "out_height": 3, "out_width": 4,
        "kernel": [3, 3], "stride": [2, 2], "padding": [0, 0], **changes,
    }  # fmt: skip
    rows = conv["batch"] * conv["out_height"] * conv["out_width"]
    return gemm(name="conv,DP", m=rows, k=36, n=3, groups=2, conv=conv, b={"tensor": "w"})


def network(**conv: Any) -> Trace:
    manifest = manifest_of(operators=[gemm(), relu(), conv_gemm(**conv)])
    return Trace(Manifest.model_validate(manifest), {"w.k": pack(two_of_eight())})


def scale_sim_macs(text: str, gemms: bool) -> dict[str, int]:
    """MACs per layer as SCALE-Sim's topology_utils.py counts them."""
    macs = {}
    for line in text.splitlines()[1:]:
        name, *sizes = (cell.strip() for cell in line.split(",")[:-1])
        if gemms:
            m, n, k = (int(size) for size in sizes[:3])
            sizes = [str(size) for size in (m, k, 1, k, 1, n, 1)]
        high, wide, filter_high, filter_wide, channels, filters, stride = map(int, sizes[:7])
        assert filter_high <= high
        assert filter_wide <= wide
        assert "DP" not in name
        outputs = [
            math.ceil((image - kernel + stride) / stride)
            for image, kernel in ((high, filter_high), (wide, filter_wide))
        ]
        assert name not in macs
        macs[name] = math.prod(outputs) * filter_high * filter_wide * channels * filters
    return macs


@pytest.mark.parametrize("to", ["scalesim-gemm", "scalesim-conv"])
def test_scale_sim_counts_the_same_macs(tmp_path: Path, to: str) -> None:
    said: list[str] = []
    trace = network()
    assert export(trace, tmp_path / "a.csv", to=to, on_message=said.append) == 3
    text = (tmp_path / "a.csv").read_text()
    macs = scale_sim_macs(text, to == "scalesim-gemm")
    assert macs == {"fc.FF": 4 * 3 * 16, "conv;dp/0": 12 * 3 * 36, "conv;dp/1": 12 * 3 * 36}
    assert text.splitlines()[0].endswith(",Sparsity,")
    assert text.splitlines()[1].endswith(",2:8,")
    assert text.splitlines()[2].endswith(",1:1,")
    assert said == ["left out: 1 operators that are no products"]


@ONE_FILE
@given(trace=traces())
def test_scale_sim_counts_random_traces(tmp_path: Path, trace: Trace) -> None:
    out = tmp_path / "a.csv"
    export(trace, out, to="scalesim-gemm", force=True)
    expected = sum(op.macs_dense for op in trace.operators if isinstance(op, Gemm))
    lines = out.read_text().splitlines()[1:]
    cells = [line.split(",")[:-1] for line in lines]
    assert sum(math.prod(int(size) for size in row[1:4]) for row in cells) == expected


def evaluated(problem: dict[str, Any]) -> tuple[int, dict[str, int]]:
    """Loops of a Timeloop problem, and the size of each data space, by walking its projections."""
    shape, instance = problem["shape"], problem["instance"]
    assert set(shape["dimensions"]) <= set(instance)
    sizes = {}
    for space in shape["data_spaces"]:
        extents = []
        for terms in space["projection"]:
            last = sum(
                (instance[term[0]] - 1) * (instance[term[1]] if len(term) > 1 else 1)
                for term in terms
            )
            extents.append(last + 1)
        sizes[space["name"]] = math.prod(extents)
    return math.prod(instance[loop] for loop in shape["dimensions"]), sizes


def problems_of(trace: Trace, folder: Path) -> list[dict[str, Any]]:
    export(trace, folder, to="timeloop")
    found = [yaml.safe_load(path.read_text())["problem"] for path in sorted(folder.glob("*.yaml"))]
    assert all(problem["version"] == 0.4 for problem in found)
    return found


def test_timeloop_problems(tmp_path: Path) -> None:
    matmul, conv = problems_of(network(), tmp_path / "out")
    macs, sizes = evaluated(matmul)
    assert (macs, sizes) == (192, {"A": 64, "B": 48, "Z": 12})
    density = {"density": 0.25, "distribution": "fixed_structured"}
    assert matmul["instance"]["densities"] == {"B": density}
    macs, sizes = evaluated(conv)
    assert macs == 2 * 12 * 3 * 36
    # Inputs that a filter reaches: 7 x 9 of the 7 x 10.
    assert sizes == {"Weights": 2 * 3 * 36, "Inputs": 2 * 4 * 7 * 9, "Outputs": 2 * 3 * 12}
    assert conv["shape"]["data_spaces"][-1]["read_write"] is True
    assert "densities" not in conv["instance"]


@ONE_FILE
@given(trace=traces())
def test_timeloop_counts_random_traces(tmp_path: Path, trace: Trace) -> None:
    export(trace, tmp_path / "out", to="timeloop", force=True)
    found = [yaml.safe_load(path.read_text()) for path in sorted((tmp_path / "out").glob("*.yaml"))]
    operators = [op for op in trace.operators if isinstance(op, Gemm)]
    assert [evaluated(each["problem"])[0] for each in found] == [op.macs_dense for op in operators]


def test_sparse_matrices(tmp_path: Path) -> None:
    a = generate("rmat:scale=5,edges=90")
    (problem,) = problems_of(spgemm_trace("square", a), tmp_path / "square")
    density = {"density": a.nnz / 1024, "distribution": "hypergeometric"}
    assert problem["instance"]["densities"] == {"A": density, "B": density}
    (problem,) = problems_of(spmm_trace("spmm", a, 4), tmp_path / "spmm")
    assert problem["instance"]["densities"] == {"A": density}
    said: list[str] = []
    trace = spmm_trace("spmm", a, 4)
    assert isinstance(trace.operators[0], SpGemm)
    export(trace, tmp_path / "a.csv", to="scalesim-gemm", on_message=said.append)
    assert (tmp_path / "a.csv").read_text() == "Layer,M,N,K,\nproduct,32,4,32,\n"
    assert said == [f"product: pattern csr nnz={a.nnz} of operand a is written as dense"]


def test_what_a_format_cannot_say(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    for changes, match in (
        ({"batch": 2}, r"has a batch of 2 images \(extract with --batch 1\)"),
        ({"stride": [2, 1], "out_width": 8}, "has strides 2 and 1"),
        ({"dilation": [2, 1], "out_height": 2}, "has dilation 2 x 1"),
    ):
        save(network(**changes), path)
        call = ("export", path, "--format", "scalesim-conv", "-o", tmp_path / "a.csv")
        refused(f"'conv,DP' {match}.*scalesim-gemm can", *call)
        assert not (tmp_path / "a.csv").exists()
        done("export", path, "--format", "scalesim-gemm", "-o", tmp_path / "b.csv", "--force")
    save(Trace(Manifest.model_validate(manifest_of(operators=[relu(deps=[])], masks=[]))), path)
    for to in ("scalesim-gemm", "timeloop"):
        refused("holds no product", "export", path, "--format", to, "-o", tmp_path / "none")
    refused("'scalesim'", "export", path, "--format", "scalesim", "-o", tmp_path / "none")


def test_the_verb(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    save(network(), path)
    result = done("export", path, "--format", "timeloop", "-o", tmp_path / "out")
    assert result.stdout == ""
    assert "2 products as timeloop" in result.stderr
    names = [each.name for each in (tmp_path / "out").glob("*.yaml")]
    assert sorted(names) == ["0000-fc.FF.yaml", "0001-conv_DP.yaml"]
    refused("output folder exists", "export", path, "--format", "timeloop", "-o", tmp_path / "out")
    csv = tmp_path / "a.csv"
    done("export", path, "--format", "scalesim-gemm", "-o", csv)
    refused("output file exists", "export", path, "--format", "scalesim-gemm", "-o", csv)


def test_densities_come_from_masks(tmp_path: Path) -> None:
    trace = network()
    sparser = trace.bits["w.k"].copy()
    sparser[0] = 0
    problem, _ = problems_of(Trace(trace.manifest, {"w.k": sparser}), tmp_path / "out")
    assert problem["instance"]["densities"]["B"]["density"] == pytest.approx(8 / 48)
    assert np.isfinite(problem["instance"]["densities"]["B"]["density"])
