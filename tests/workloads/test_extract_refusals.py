"""Everything a user can get wrong ends in one line that names it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from sparsesim.errors import InputError  # noqa: E402
from workloads.catalog.digits_cnn import DigitsCNN  # noqa: E402
from workloads.extract import extract  # noqa: E402

Writer = Callable[[str], str]

LINEAR = """
def make(batch):
    return nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12)), torch.zeros(batch, 12)
"""


def refused(source: str, match: str, **arguments: Any) -> None:
    with pytest.raises(InputError, match=match) as caught:
        extract(source, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("resnet81", "unknown source 'resnet81'; did you mean 'resnet18'"),
        ("", "unknown source ''"),
        (
            "resnet",
            r"a catalog name \(.*digits_cnn, .*resnet18.*\), module:function, a .pt2",
        ),
        ("model.pt2", r"model.pt2: cannot be read \(No such file"),
        ("a/b.safetensors", r"a file of weights; name its architecture with --model"),
        ("net.onnx", r"net.onnx: cannot be read \(No such file"),
        ("model.py:make", "without .py and slashes"),
        ("a:b:c", "must be module:function"),
        (":make", "must be module:function"),
        ("no_such_module_here:make", "no module named 'no_such_module_here'"),
        ("json.no_such:make", "no module named 'json.no_such'"),
        ("json:dump_s", "module json has no 'dump_s'; did you mean 'dumps'"),
        ("json:__name__", "__name__ is a str, a function is needed"),
        ("json:dumps", r"dumps\(\) failed with TypeError"),
    ],
)
def test_sources(source: str, match: str) -> None:
    refused(source, match)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"prune": "nm:9:8"}, "keeps 9 of every 8"),
        ({"method": "bdwq"}, "--method 'bdwq': unknown; did you mean 'bdwp'"),
        ({"phase": "train"}, "--phase 'train': unknown; did you mean 'training'"),
        ({"batch": 0}, "--batch 0: must be a whole number from 1"),
        ({"batch": -3}, "--batch -3"),
        ({"batch": 1.5}, "--batch 1.5"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 2**32}, "--seed"),
    ],
)
def test_arguments(arguments: dict[str, Any], match: str) -> None:
    refused("resnet18", match, **arguments)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("def make():\n    return nn.Linear(3, 3)\n", "without example inputs; return"),
        ("def make():\n    return 3\n", "returned a int; must return"),
        ("def make():\n    return 3, torch.zeros(1)\n", "returned a tuple; must return"),
        ("def make():\n    return nn.Linear(3, 3), 7\n", "example inputs are a int without"),
        ("def make():\n    return nn.Linear(3, 3), ()\n", "example inputs are a tuple without"),
        ("def make():\n    raise ValueError('two\\nlines')\n", "ValueError: two lines"),
        ("def make(:\n", "failed with SyntaxError"),
        ("import nonexistent_dependency\n", "No module named 'nonexistent_dependency'"),
        ("def make():\n    return nn.ReLU(), torch.zeros(2, 3)\n", "has no parameters"),
        ("def make():\n    return nn.BatchNorm2d(3), torch.zeros(2, 3, 4, 4)\n",
         "no matrix product"),
        ("def make():\n    return nn.Linear(3, 3), torch.zeros(2, 4)\n",
         "torch.export cannot capture Linear"),
        ("def make():\n    net = nn.Linear(3, 3)\n    net.weight.data[0, 0] = float('nan')\n"
         "    return net, torch.zeros(2, 3)\n", "weight: holds NaN values"),
        ("def make():\n    return nn.Linear(3, 3, device='meta'), torch.zeros(2, 3)\n",
         "weight: is on the meta device"),
        ("def make():\n    raise SystemExit('bye')\n", "SystemExit: bye"),
        ("def make():\n    return nn.Linear(3, 3).requires_grad_(False), torch.zeros(2, 3)\n",
         "no output of the model depends on a trainable parameter"),
    ],
)  # fmt: skip
def test_user_functions(user_module: Writer, body: str, match: str) -> None:
    refused(f"{user_module(body)}:make", match)


def test_a_pattern_that_fits_no_layer(user_module: Writer) -> None:
    source = f"{user_module(LINEAR)}:make"
    refused(source, r"no layer can be pruned to 2:8@k .*0: first layer; 2: FF: 12", prune="nm:2:8")
    refused(source, "no layer can be pruned to balanced 2/32@k", prune="balanced:16")
    extract(source, prune="nm:2:4")


def checkpoint(tmp_path: Path, **changes: Any) -> Path:
    state = dict(DigitsCNN().state_dict())
    for key, value in changes.items():
        key = key.replace("__", ".")
        if value is None:
            del state[key]
        else:
            state[key] = value
    torch.save(state, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"fc1__weight": None}, "key 'fc1.weight' is missing .of 1 missing keys."),
        ({"fc1__weight": torch.zeros(3, 3)}, r"fc1.weight: shape \[3, 3\], the model needs"),
        ({"extra": torch.zeros(1)}, "key 'extra' is not in the model"),
        ({"conv2__weight": torch.full((32, 16, 3, 3), float("nan"))}, "conv2.weight: holds NaN"),
        ({"bn1__bias": torch.full((16,), float("inf"))}, "bn1.bias: holds infinite"),
        ({"bn1__bias": 3}, "bn1.bias: is a int, not a tensor"),
    ],
)
def test_checkpoints(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    refused("digits_cnn", match, checkpoint=checkpoint(tmp_path, **changes))


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    refused("digits_cnn", "cannot be read", checkpoint=tmp_path / "absent.pt")
    refused("digits_cnn", "not a checkpoint|cannot be read", checkpoint=tmp_path)
    (tmp_path / "text.pt").write_text("hello")
    refused("digits_cnn", "not a checkpoint", checkpoint=tmp_path / "text.pt")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Path, protocol=2))
    refused("digits_cnn", "not a checkpoint", checkpoint=tmp_path / "evil.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    refused("digits_cnn", "holds a list, a state dict", checkpoint=tmp_path / "list.pt")
    refused("digits_cnn", "cannot be read", checkpoint=tmp_path / "a.safetensors")
    refused("digits_cnn", "not a checkpoint .give .pt", checkpoint=tmp_path / "a.h5")


def test_a_good_checkpoint_is_used_instead_of_training(tmp_path: Path) -> None:
    trace = extract("digits_cnn", prune="nm:2:8", checkpoint=checkpoint(tmp_path), batch=2)
    assert trace.manifest.provenance["weights"] == "checkpoint weights.pt"
    assert "accuracy" not in trace.manifest.provenance


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    extract("resnet18", phase="inference", batch=1)
    assert torch.equal(torch.rand(3), expected)


def test_a_model_that_exits_when_it_runs(user_module: Writer) -> None:
    name = user_module(
        "class Net(nn.Module):\n    def forward(self, x):\n        raise SystemExit(3)\n"
        "def make(batch):\n    return Net(), torch.zeros(batch, 8)\n"
    )
    refused(f"{name}:make", r"cannot capture Net \(SystemExit: 3\)", batch=2)


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_module_is_named(user_module: Writer) -> None:
    name = user_module(
        "def make(batch):\n"
        "    return torch.ao.nn.quantized.dynamic.Linear(8, 8), torch.zeros(batch, 8)\n"
    )
    refused(f"{name}:make", "quantised modules are not supported", batch=2)
