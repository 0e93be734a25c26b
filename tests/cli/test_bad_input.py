"""Bad input: exit code 2, one line that names it, and nothing left behind."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparsesim.machines.registry import load_machine
from sparsesim.trace import load
from sparsesim.trace.file import MANIFEST, mask_member
from tests.cli.command_line import done, refused
from tests.trace.small_traces import gemm, manifest_of

Files = Callable[[], list[str]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Names of all files and folders there are."""
    return lambda: sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))


@pytest.fixture
def out(tmp_path: Path, files: Files, trace: Path) -> Iterator[Path]:
    """An output folder; at the end, nothing has been written: neither it nor a part of it."""
    before = files()
    yield tmp_path / "out"
    assert files() == before
    assert trace.exists()


def rewritten(trace: Path, manifest: dict[str, Any], mask: bytes = bytes(6)) -> None:
    """Replace `trace` by an archive of `manifest` and its one mask."""
    with zipfile.ZipFile(trace, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest))
        archive.writestr(mask_member("w.k"), mask)


def run_refused(match: str, trace: Path, out: Path, *options: str) -> str:
    return refused(match, "run", trace, "--machine", "sat", "-o", out, "--json", *options)


def test_a_truncated_trace(trace: Path, out: Path) -> None:
    data = trace.read_bytes()
    trace.write_bytes(data[: len(data) // 2])
    run_refused(f"{trace}: not a trace .*truncated", trace, out)
    refused("truncated", "inspect", trace, "--json")


def test_a_mask_of_the_wrong_shape(trace: Path, out: Path) -> None:
    rewritten(trace, manifest_of(), mask=bytes(7))
    run_refused("mask 'w.k': 7 bytes stored, its shape 3 x 16 needs 6", trace, out)
    masks = [{"id": "w.k", "tensor": "w", "rows": 4, "columns": 16}]
    rewritten(trace, manifest_of(masks=masks))
    run_refused("mask 'w.k' has shape 4 x 16, operand b of 'fc.FF' needs 3 x 16", trace, out)


def with_pattern(**pattern: Any) -> dict[str, Any]:
    return manifest_of(operators=[gemm(b={"tensor": "w", "pattern": pattern, "mask": "w.k"})])


def test_n_larger_than_m(trace: Path, out: Path) -> None:
    rewritten(trace, with_pattern(kind="nm", n=9, m=8))
    run_refused("9:8 keeps more than it has; needs N <= M", trace, out)
    refused("keeps 9 of every 8; needs 1 <= N <= M",
            "extract", "resnet18", "--prune", "nm:9:8", "-o", out)  # fmt: skip


def test_m_that_does_not_divide(trace: Path, out: Path) -> None:
    rewritten(trace, with_pattern(kind="nm", n=2, m=5))
    run_refused("groups of M=5 do not divide the 16 elements of axis 'k'", trace, out)


def test_a_mask_that_breaks_its_pattern(trace: Path, out: Path) -> None:
    rewritten(trace, manifest_of(), mask=b"\x03\x03\x03\x07\x03\x03")
    run_refused("mask 'w.k': row 1, group 1 keeps 3 elements, the pattern '2:8@k'", trace, out)


def test_an_empty_model(trace: Path, out: Path) -> None:
    rewritten(trace, manifest_of(operators=[]))
    run_refused("operators: .*at least 1 item", trace, out)


def test_a_pattern_the_machine_has_no_hardware_for(trace: Path, out: Path) -> None:
    manifest = manifest_of()
    operand = {"tensor": "w", "pattern": {"kind": "csr", "rows": 16, "columns": 3, "nnz": 4}}
    spgemm = gemm(kind="spgemm", a={"tensor": "x"}, b=operand)
    rewritten(trace, {**manifest, "operators": [spgemm]})
    run_refused("'fc.FF'.*'spgemm' does not run on machine family 'sat'", trace, out)


def test_an_unknown_machine_key(trace: Path, out: Path) -> None:
    allowed = ", ".join(type(load_machine("sat").spec).model_fields)
    run_refused(f"unknown machine key 'rowz'; did you mean 'rows'.*{allowed}", trace, out,
                "--set", "rowz=3")  # fmt: skip
    refused("unknown machine key 'rowz'", "emit", "sat", "--set", "rowz=3", "-o", out)
    refused("unknown machine key 'rowz'", "verify", "sat", "--set", "rowz=3", "--json")


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("dram_bandwidth=-1e9", r"dram_bandwidth: .*greater than 0 .got -1000000000.0"),
        ("dram_bandwidth=.inf", "dram_bandwidth: .*finite"),
        ("rows=0", "rows: "),
        ("rows", "--set 'rows': must be key=value"),
    ],
)
def test_impossible_values(trace: Path, out: Path, setting: str, match: str) -> None:
    run_refused(match, trace, out, "--set", setting)


def test_a_key_set_twice(trace: Path, out: Path) -> None:
    run_refused("--set rows: given twice", trace, out, "--set", "rows=8", "--set", "rows=16")


def test_unknown_machines(trace: Path, out: Path) -> None:
    for verb in (["run", trace, "-o", out, "--machine"], ["machines"], ["verify"]):
        refused("unknown machine 'sta'; did you mean 'sat'.*allowed: .*sat", *verb, "sta")
    refused("absent.yaml: cannot be read", "machines", "absent.yaml")


@pytest.mark.parametrize("name", ["absent.trace", "."])
def test_traces_that_cannot_be_read(tmp_path: Path, out: Path, name: str) -> None:
    run_refused("cannot be read", tmp_path / name, out)


def test_an_output_folder_that_exists(trace: Path, tmp_path: Path, files: Files) -> None:
    out = tmp_path / "out"
    space = tmp_path / "space.yaml"
    space.write_text("machine: sat\ntrace: {files: [small.trace]}\n")
    writing: dict[str, list[Any]] = {
        "run": ["run", trace, "--machine", "sat", "-o", out],
        "emit": ["emit", "sat", "-o", out],
        "sweep": ["sweep", space, "-o", out, "--jobs", "1"],
    }
    out.mkdir()
    (out / "precious").write_text("mine")
    before = files()
    for arguments in [*writing.values(), ["report", tmp_path, "-o", out]]:
        refused("output folder exists", *arguments)
    for verb in ("run", "emit"):
        refused("not an output folder of sparsesim, --force will not replace it",
                *writing[verb], "--force")  # fmt: skip
    assert files() == before
    (out / "precious").unlink()
    done(*writing["run"], "--force")
    assert (out / "summary.json").exists()
    done(*writing["run"], "--force")
    refused("output folder exists", *writing["run"])


def test_an_output_file_that_exists(tmp_path: Path, trace: Path, out: Path) -> None:
    before = trace.read_bytes()
    refused("output file exists", "extract", "resnet18", "-o", trace)
    refused("is a folder", "extract", "resnet18", "-o", tmp_path, "--force")
    refused("no such folder", "extract", "resnet18", "-o", out / "a.trace")
    assert trace.read_bytes() == before


def test_folders_that_are_no_result(tmp_path: Path, out: Path) -> None:
    refused("not a result folder", "compare", tmp_path, "--json")
    refused("neither a result folder .* nor a sweep folder", "report", tmp_path, "-o", out)
    refused("no such folder", "report", tmp_path / "absent", "-o", out)


def test_verify_and_emit(out: Path) -> None:
    refused("unknown unit 'upse'; did you mean 'uspe'", "emit", "sat", "--unit", "upse", "-o", out)
    refused("cases: must be at least 1", "verify", "sat", "--cases", "0")
    refused("seed: must not be negative", "verify", "sat", "--seed", "-1")


def test_a_sweep_without_a_space(tmp_path: Path, out: Path) -> None:
    refused("absent.yaml: cannot be read", "sweep", tmp_path / "absent.yaml", "-o", out)


def test_line_breaks_in_names_stay_on_one_line(trace: Path, out: Path) -> None:
    rewritten(trace, {**manifest_of(), "two\nlines": 1})
    run_refused("two lines: Extra inputs", trace, out)
    refused("cannot be read", "inspect", "a\nb.trace")


UNSUPPORTED = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)

    def forward(self, x):
        return self.b(torch.erfinv(self.a(x)))

def make(batch):
    return Net(), torch.zeros(batch, 8)

def empty(batch):
    return torch.nn.Sequential(), torch.zeros(batch, 8)
"""


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    name = f"cli_model_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(UNSUPPORTED)
    return name


def test_an_unsupported_operator(user_module: str, tmp_path: Path) -> None:
    path = tmp_path / "net.trace"
    extract = ["extract", f"{user_module}:make", "--batch", "4", "-o", path]
    refused(r"aten\.erfinv\.default in layer", *extract)
    assert not path.exists()
    done(*extract, "--allow-unknown")
    functions = [getattr(operator, "function", None) for operator in load(path).operators]
    assert "unknown:aten.erfinv.default" in functions


def test_a_module_without_anything_in_it(user_module: str, tmp_path: Path) -> None:
    refused("has no parameters|no matrix product",
            "extract", f"{user_module}:empty", "-o", tmp_path / "net.trace")  # fmt: skip
    assert not (tmp_path / "net.trace").exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["resnet81"], "unknown source 'resnet81'; did you mean 'resnet18'"),
        (["resnet18", "--method", "x"], "--method 'x': unknown"),
        (["resnet18", "--phase", "x"], "--phase 'x': unknown"),
        (["resnet18", "--batch", "0"], "--batch 0: must be a whole number"),
        (["resnet18", "--seed", "-1"], "--seed -1: must be a whole number"),
        (["resnet18", "--prune", "half"], "--prune 'half': unknown recipe"),
        (["digits_cnn", "--checkpoint", "absent.pt"], r"absent\.pt: cannot be read"),
        (["model.onnx"], r"model\.onnx: cannot be read"),
    ],
)
def test_extractions(out: Path, arguments: list[str], match: str) -> None:
    refused(match, "extract", *arguments, "-o", out)


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [("torch", ["extract", "resnet18"], "torch"), ("amaranth", ["emit", "sat"], "rtl")],
)
def test_a_missing_extra_is_named(
    out: Path, monkeypatch: pytest.MonkeyPatch, package: str, arguments: list[str], extra: str
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: find(name, *rest) if name != package else None,
    )
    refused(rf"sparsesim\[{extra}\]", *arguments, "-o", out)
