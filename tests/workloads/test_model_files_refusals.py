"""Model files that are broken, hostile or of another network: one clear line each, nothing run."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from torch import Tensor, nn  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from workloads.extract import extract  # noqa: E402

HERE = "tests.workloads.test_model_files_refusals"


def plain(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)), torch.zeros(batch, 8)


def refused(path: Path, match: str, **arguments: Any) -> None:
    if path.suffix not in (".pt2", ".onnx"):
        arguments.setdefault("model", f"{HERE}:plain")
    with pytest.raises(InputError, match=match) as caught:
        extract(str(path), batch=2, **arguments)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


class Attack:
    """A pickle that writes a file when it is read carelessly."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def canary(tmp_path: Path) -> Any:
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code from a file was executed"


# ---- weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [None, 0, 2])
def test_a_pickle_that_executes(tmp_path: Path, canary: Path, protocol: int | None) -> None:
    path = tmp_path / "weights.pt"
    state = {"0.weight": Attack(canary)}
    if protocol is None:
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state, protocol=protocol))
    refused(path, "wants to run (posix|os).system; nothing in a file is executed|not a checkpoint")


@pytest.mark.filterwarnings("ignore")
def test_whole_models_instead_of_their_state(tmp_path: Path) -> None:
    module, x = plain()
    torch.save(module, tmp_path / "weights.pt")
    refused(tmp_path / "weights.pt", "wants to run torch.nn.* save the state_dict alone")
    torch.jit.save(torch.jit.trace(module, x), tmp_path / "weights.pt")
    refused(tmp_path / "weights.pt", r"with TorchScript archives passed to ``torch.load``\)$")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"0.weight": None}, r"key '0.weight' is missing \(of 1 missing keys\)"),
        ({"0.weight": torch.zeros(8, 7)}, r"0.weight: shape \[8, 7\], the model needs \[8, 8\]"),
        ({"0.weight": torch.zeros(0, 8)}, r"0.weight: shape \[0, 8\], the model needs"),
        ({"0.weight": torch.full((8, 8), float("nan"))}, "0.weight: holds NaN"),
        ({"2.bias": torch.full((4,), float("inf"))}, "2.bias: holds infinite"),
        ({"0.weight": torch.zeros(8, 8, dtype=torch.int64)}, "0.weight: is torch.int64"),
        ({"0.weight": "text"}, "0.weight: is a str, not a tensor"),
        ({"3.weight": torch.zeros(2)}, "key '3.weight' is not in the model; did you mean"),
        ({"0.weight": None, "0.weight_orig": torch.zeros(8, 8)},
         r"0.weight_orig: its mask \(0.weight_mask\) is not in the file"),
        ({"0.weight": None, "0.parametrizations.weight.original": torch.zeros(8, 8)},
         r"its mask \(0.parametrizations.weight.0.mask\) is not in the file, only the dense"),
        ({"0.weight": None, "0.weight_orig": torch.zeros(8, 8), "0.weight_mask": torch.ones(4)},
         r"0.weight_mask: shape \[4\], its weight has \[8, 8\]"),
        ({"0.weight_mask": torch.full((8, 8), float("nan"))},
         "0.weight_mask: holds NaN or infinite values, a mask is of 0 and 1"),
        ({"0.weight": None, "0.weight.bitmask": torch.zeros(8, 1)},
         "0.weight.compressed is missing beside the other parts"),
        ({"0.weight": None, "0.weight.bitmask": torch.ones(8, 1, dtype=torch.uint8),
          "0.weight.compressed": torch.ones(3), "0.weight.shape": torch.tensor([8, 8])},
         "0.weight: 3 values for 8 ones in its bitmask"),
        ({"0.weight": None, "0.weight.bitmask": torch.ones(9, 9, dtype=torch.uint8),
          "0.weight.compressed": torch.ones(3), "0.weight.shape": torch.tensor([8, 8])},
         r"0.weight.bitmask: shape \[9, 9\] does not fit"),
        ({"0.weight": None, "0.weight.packed": torch.zeros(8, 5), "0.weight.meta": torch.zeros(1)},
         "0.weight: not a semi-structured tensor"),
        ({"0.weight": torch.sparse_coo_tensor([[0], [0]], [1.0], (2**20, 2**20))},
         r"0.weight: sparse tensor of 1099511627776 elements \(1 stored\)"),
        ({"0.weight": torch.zeros(1).expand(2**20, 2**20)}, "0.weight: shape"),
    ],
)  # fmt: skip
def test_states_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    state: dict[str, Any] = dict(plain()[0].state_dict())
    for key, value in changes.items():
        if value is None:
            del state[key]
        else:
            state[key] = value
    torch.save(state, tmp_path / "weights.pt")
    refused(tmp_path / "weights.pt", match)


@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_tensors_with_positions_outside(tmp_path: Path) -> None:
    state: dict[str, Any] = dict(plain()[0].state_dict())
    outside = torch.tensor([[0, 900000], [0, 3]]), torch.ones(2), (8, 8)
    state["0.weight"] = torch.sparse_coo_tensor(*outside, check_invariants=False)
    torch.save(state, tmp_path / "weights.pt")
    refused(tmp_path / "weights.pt", "not a checkpoint of tensors alone")


@pytest.mark.filterwarnings("error")
def test_a_bare_pickle_is_refused_without_a_warning_beside(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(pickle.dumps({"0.weight": print}, protocol=4))
    refused(tmp_path / "weights.pt", "not a checkpoint of tensors alone")


def test_broken_weight_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    good = tmp_path / "good.safetensors"
    save_file(plain()[0].state_dict(), good)
    data = good.read_bytes()
    broken = tmp_path / "weights.safetensors"
    giant = struct.pack("<Q", 2**62)
    huge = json.dumps({"0.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    bomb = struct.pack("<Q", len(huge)) + huge.encode()
    for content in (data[:-1], data[:40], data[:7], b"", giant + data[8:], bomb, b"\x00" * 64):
        broken.write_bytes(content)
        refused(broken, "not a safetensors file, or a truncated one|holds no tensors")
    torch.save(plain()[0].state_dict(), tmp_path / "good.pt")
    whole = (tmp_path / "good.pt").read_bytes()
    broken = tmp_path / "weights.pt"
    for content in (whole[:-1], whole[:100], b"", b"PK\x03\x04" + b"\x00" * 100):
        broken.write_bytes(content)
        refused(broken, "not a checkpoint|damaged archive")
    torch.save({}, broken)
    refused(broken, "holds no tensors")
    torch.save(torch.zeros(3), broken)
    refused(broken, "holds a Tensor, a state dict is needed")


def rezipped(source: Path, target: Path, change: Callable[[str, bytes], bytes | None],
             compression: int = zipfile.ZIP_STORED) -> None:  # fmt: skip
    """Copy an archive with each member changed; None leaves it out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)


def test_zip_bombs(tmp_path: Path) -> None:
    torch.save({"0.weight": torch.zeros(2000, 2000)}, tmp_path / "good.pt")
    rezipped(tmp_path / "good.pt", tmp_path / "bomb.pt", lambda _, data: data,
             zipfile.ZIP_DEFLATED)  # fmt: skip
    refused(tmp_path / "bomb.pt", "unpacks to 160.....; torch stores tensors uncompressed")
    program(tmp_path / "good.pt2")
    rezipped(tmp_path / "good.pt2", tmp_path / "bomb.pt2",
             lambda name, data: data + b"\x00" * 2**20 if "weight" in name else data,
             zipfile.ZIP_DEFLATED)  # fmt: skip
    refused(tmp_path / "bomb.pt2", "torch stores tensors uncompressed")


# ---- exported programs ------------------------------------------------------------------------


def program(path: Path) -> None:
    module, x = plain()
    torch.export.save(torch.export.export(module, (x,)), path)


def test_broken_programs(tmp_path: Path) -> None:
    program(tmp_path / "good.pt2")
    whole = (tmp_path / "good.pt2").read_bytes()
    broken = tmp_path / "net.pt2"
    for content in (whole[:-1], whole[: len(whole) // 2], b"", b"hello"):
        broken.write_bytes(content)
        refused(broken, "not a .pt2 archive|damaged archive|not an exported program")
    refused(tmp_path / "absent.pt2", "cannot be read")
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("model/hello.txt", "hello")
    refused(broken, "not a .pt2 archive of this version")


def without(part: str) -> Callable[[str, bytes], bytes | None]:
    return lambda name, data: None if part in name else data


def in_graph(old: str, new: str) -> Callable[[str, bytes], bytes | None]:
    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        assert old.encode() in data
        return data.replace(old.encode(), new.encode())

    return change


SYMBOL = '{"as_expr": {"expr_str": "__import__(\'os\').system(\'true\')", "hint": null}}'


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without("weight_2"), "not an exported program"),
        (without("sample_inputs"), "not an exported program"),
        (without("models/model.json"), "not an exported program"),
        (in_graph("torch.ops.aten.relu.default", "torch.os.system"),
         "calls 'torch.os.system', which is no operator of a model"),
        (in_graph("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default"), "from_file"),
        (in_graph("torch.ops.aten.relu.default", "_operator.methodcaller"), "methodcaller"),
        (in_graph("torch.ops.aten.relu.default", "#torch.library:x"), "no operator of a model"),
        (in_graph('{"as_int": 8}', SYMBOL), "shape expression .* is more than arithmetic"),
        (in_graph('"graph_module"', '"graph_modul'), "not JSON"),
    ],
)  # fmt: skip
def test_programs_with_something_else_in_them(
    tmp_path: Path, change: Callable[[str, bytes], bytes | None], match: str
) -> None:
    program(tmp_path / "good.pt2")
    rezipped(tmp_path / "good.pt2", tmp_path / "net.pt2", change)
    refused(tmp_path / "net.pt2", match)


@pytest.mark.parametrize("place", ["sample inputs", "weights"])
def test_a_program_with_a_pickle_that_executes(tmp_path: Path, canary: Path, place: str) -> None:
    program(tmp_path / "good.pt2")
    buffer = io.BytesIO()
    torch.save(Attack(canary), buffer)

    def change(name: str, data: bytes) -> bytes:
        if place == "sample inputs" and "sample_inputs" in name:
            return buffer.getvalue()
        if place == "weights" and name.endswith("weight_0"):
            return buffer.getvalue()
        if place == "weights" and name.endswith("weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return data

    rezipped(tmp_path / "good.pt2", tmp_path / "net.pt2", change)
    refused(tmp_path / "net.pt2", "a pickle of more than tensors; nothing in a file is executed")


def test_torch_sees_what_was_screened(tmp_path: Path) -> None:
    """Python's reader finds an archive behind other bytes, torch's may find another one."""
    program(tmp_path / "good.pt2")
    whole = (tmp_path / "good.pt2").read_bytes()
    (tmp_path / "net.pt2").write_bytes(b"\x00" * 100 + whole)
    trace = extract(str(tmp_path / "net.pt2"), batch=2, phase="inference")
    assert [op.name for op in trace.operators] == ["0", "1", "2"]


# ---- ONNX -------------------------------------------------------------------------------------


def onnx_of(path: Path, nodes: list[Any], **changes: Any) -> None:
    from onnx import save

    from tests.workloads.onnx_models import model_of

    weights = {"w": np.ones((8, 4), np.float32), **changes.get("weights", {})}
    inputs = changes.get("inputs", {"x": [2, 8]})
    save(model_of(nodes, weights, inputs, ("y", changes.get("out", [2, 4]))), str(path))


def test_onnx_graphs_that_are_refused(tmp_path: Path) -> None:
    from onnx import helper

    make, path = helper.make_node, tmp_path / "net.onnx"
    product = make("MatMul", ["x", "w"], ["y"], "product")
    onnx_of(path, [product])
    extract(str(path), batch=2)
    whole = path.read_bytes()
    for content in (whole[:-3], whole[:20], b"", b"hello world, no model"):
        path.write_bytes(content)
        refused(path, "not an ONNX model, or a damaged one")
    onnx_of(path, [make("Det", ["x"], ["y"], "d")], inputs={"x": [2, 2]}, out=[])
    refused(path, "operator Det 'd' is not supported")
    onnx_of(path, [make("MatMul", ["x", "v"], ["y"], "p")])
    refused(path, "not an ONNX model, or a damaged one")
    onnx_of(path, [product], weights={"w": np.full((8, 4), np.nan, np.float32)})
    refused(path, "w: holds NaN values")
    onnx_of(path, [product], weights={"w": np.ones((7, 4), np.float32)})
    refused(path, "MatMul 'product': |not an ONNX model")
    onnx_of(path, [product], weights={"w": np.ones((8, 0), np.float32)})
    refused(path, "0 elements|empty tensor")
    onnx_of(path, [product], inputs={"x": [0, 8]})
    refused(path, "input 'x' has 0 elements|not an ONNX model")
    onnx_of(path, [product], inputs={"x": [2**50, 8]})
    refused(path, "input 'x' has 9007199254740992 elements")
    stuck = make("Conv", ["x", "w"], ["y"], "stuck", strides=[0, 0])
    onnx_of(path, [stuck], weights={"w": np.ones((4, 3, 3, 3), np.float32)},
            inputs={"x": [1, 3, 8, 8]}, out=[1, 4, 6, 6])  # fmt: skip
    refused(path, "Conv 'stuck': |not an ONNX model")
    shape = make("Cast", ["x"], ["s"], "cast", to=7)
    onnx_of(path, [shape, make("Reshape", ["w", "s"], ["y"], "r")], inputs={"x": [2]})
    refused(path, "Reshape 'r': its input 's' depends on data; a trace needs fixed shapes")


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Range", "Expand", "Tile", "Pad"])
def test_onnx_constants_that_would_fill_the_memory(tmp_path: Path, kind: str) -> None:
    from onnx import helper

    inputs = {
        "ConstantOfShape": [np.array([2**33])],
        "Range": [np.array(0), np.array(2**40), np.array(1)],
        "Expand": [np.ones((1, 1), np.int64), np.array([2**20, 2**20])],
        "Tile": [np.ones((1, 1), np.int64), np.array([2**18, 2**18])],
        "Pad": [np.ones((1, 1), np.int64), np.array([0, 0, 2**18, 2**18])],
    }[kind]
    names = [f"i{index}" for index in range(len(inputs))]
    nodes = [
        helper.make_node(kind, names, ["large"], "large"),
        helper.make_node("Cast", ["large"], ["float"], "cast", to=1),
        helper.make_node("MatMul", ["x", "w"], ["z"], "product"),
        helper.make_node("Add", ["z", "float"], ["y"], "sum"),
    ]
    weights = dict(zip(names, inputs, strict=True))
    onnx_of(tmp_path / "net.onnx", nodes, weights={**weights, "w": np.ones((8, 4), np.float32)})
    refused(tmp_path / "net.onnx", "constant 'large' is larger than 16777216")


def test_onnx_weights_outside_its_folder(tmp_path: Path) -> None:
    from onnx import helper, load, save

    (tmp_path / "secret.bin").write_bytes(b"\x00" * 128)
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "net.onnx"
    onnx_of(path, [helper.make_node("MatMul", ["x", "w"], ["y"], "product")])
    model = load(str(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret.bin"
    save(model, str(path))
    refused(path, "not an ONNX model, or a damaged one|cannot be read")


# ---- modules ----------------------------------------------------------------------------------


def empty_weight(batch: int = 2) -> tuple[nn.Module, Tensor]:
    with pytest.warns(UserWarning, match="zero-element"):
        return nn.Sequential(nn.Linear(8, 0), nn.Linear(0, 4)), torch.zeros(batch, 8)


def test_tensors_without_elements() -> None:
    with pytest.raises(InputError, match=r"0.weight: has 0 elements \(shape \[0, 8\]\)"):
        extract(f"{HERE}:empty_weight", batch=2)
    with pytest.raises(InputError, match="empty tensor of shape"):
        extract(f"{HERE}:no_samples", batch=2)


def no_samples(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return plain()[0], torch.zeros(0 * batch, 8)


def test_a_file_of_weights_needs_its_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    refused(path, "name its architecture with --model", model=None)
    refused(path, "drop --checkpoint", checkpoint=path)
    with pytest.raises(InputError, match=f"--model '{HERE}:plain': .* is not a file of weights"):
        extract(f"{HERE}:plain", model=f"{HERE}:plain")
    with pytest.raises(InputError, match="unknown source 'resnet81'"):
        extract(str(path), model="resnet81")
