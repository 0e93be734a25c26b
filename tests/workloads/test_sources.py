"""Networks from files: weights onto an architecture, exported programs, ONNX graphs."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import Tensor, nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from sparsesim.errors import InputError  # noqa: E402
from sparsesim.trace import NM, Balanced, Dense, Gemm, Trace, Unstructured, load, save  # noqa: E402
from sparsesim.trace.masks import unpack  # noqa: E402
from tests.workloads import capture_models  # noqa: E402
from workloads.extract import extract  # noqa: E402

HERE = "tests.workloads.test_sources"


def plain(batch: int = 2) -> tuple[nn.Module, Tensor]:
    layers = OrderedDict(
        a=nn.Linear(64, 64), relu=nn.ReLU(), b=nn.Linear(64, 32), drop=nn.Dropout(0.1)
    )
    return nn.Sequential(layers), torch.zeros(batch, 64)


def two_of_four(weight: Tensor) -> Tensor:
    """A mask that keeps the two largest of every four along the last axis."""
    groups = weight.detach().abs().reshape(-1, 4)
    keep = groups.argsort(1, descending=True)[:, :2]
    return torch.zeros_like(groups).scatter_(1, keep, 1.0).reshape(weight.shape)


def pruned(batch: int = 2) -> tuple[nn.Module, Tensor]:
    """Layer a simply has zeros in 2:4, layer b carries a wrapper of torch.nn.utils.prune."""
    module, x = plain(batch)
    with torch.no_grad():
        module.a.weight.mul_(two_of_four(module.a.weight))
    prune.random_unstructured(module.b, "weight", 0.5)
    return module, x


def built() -> nn.Module:
    torch.manual_seed(3)
    return pruned()[0]


def gemm(trace: Trace, name: str) -> Gemm:
    (found,) = (op for op in trace.operators if op.name == name)
    assert isinstance(found, Gemm)
    return found


def check(trace: Trace, module: nn.Module) -> None:
    """Both layers keep exactly the nonzeros of `module`, with the patterns they follow."""
    a, b = gemm(trace, "a"), gemm(trace, "b")
    assert a.b.pattern == NM(n=2, m=4)
    assert isinstance(b.b.pattern, Unstructured)
    for operand, weight in ((a.b, module.a.weight), (b.b, module.b.weight)):
        assert operand.mask is not None
        bits = unpack(trace.mask(operand.mask), 64)
        np.testing.assert_array_equal(bits, (weight != 0).numpy())
    found = trace.manifest.provenance["detected"]
    assert found["a"] == "2:4 along the input channels"
    assert found["b"] == "unstructured 50.0%"


def on_plain(path: Path, **arguments: Any) -> Trace:
    return extract(
        str(path), model=f"{HERE}:plain", phase="inference", batch=2, seed=9, **arguments
    )


def test_the_module_itself_is_taken_as_it_is() -> None:
    messages: list[str] = []
    trace = extract(f"{HERE}:pruned", phase="inference", batch=2, on_message=messages.append)
    assert "found 2:4 along the input channels: a (--prune overrides)" in messages
    assert trace.manifest.provenance["method"] == "given"
    torch.manual_seed(0)
    check(trace, pruned()[0])


def test_what_is_found_can_be_overridden() -> None:
    arguments = {"phase": "inference", "batch": 2}
    dense = extract(f"{HERE}:pruned", prune="none", **arguments)
    assert not dense.bits
    other = extract(f"{HERE}:pruned", prune="balanced:8", **arguments)
    assert gemm(other, "b").b.pattern == Balanced(group=32, kept=4)
    nothing = extract(f"{HERE}:plain", **arguments)
    assert nothing.manifest.provenance["prune"] == "none"  # the baseline of a comparison


def test_many_densities_share_a_line() -> None:
    messages: list[str] = []
    extract(f"{HERE}:unevenly", phase="inference", batch=2, on_message=messages.append)
    (line,) = (message for message in messages if message.startswith("found"))
    assert line.startswith("found unstructured ")
    assert line.endswith(" to 80.0%: 0, 1, 2 and 2 more (--prune overrides)")


def unevenly(batch: int = 2) -> tuple[nn.Module, Tensor]:
    module = nn.Sequential(*(nn.Linear(50, 50) for _ in range(5)))
    for index, layer in enumerate(module):
        prune.l1_unstructured(layer, "weight", 0.4 + 0.1 * index)
    return module, torch.zeros(batch, 50)


def test_training_reads_the_same_zeros_in_both_directions(tmp_path: Path) -> None:
    trace = extract(f"{HERE}:pruned", batch=2)
    torch.manual_seed(0)
    module = pruned()[0]
    back = gemm(trace, "b.BP")
    assert back.b.mask is not None
    bits = unpack(trace.mask(back.b.mask), 32)
    np.testing.assert_array_equal(bits, (module.b.weight != 0).numpy().T)
    save(trace, tmp_path / "a.trace")
    assert load(tmp_path / "a.trace").sha256() == trace.sha256()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_state_dict_with_the_wrappers_masks(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    module, path = built(), tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pt" else save_file)(module.state_dict(), path)
    trace = on_plain(path)
    check(trace, module)
    assert trace.manifest.provenance["stored_as"] == {"b.weight": "weight_orig x weight_mask"}
    assert trace.manifest.provenance["weights"] == f"checkpoint weights{suffix}"


def stored(convention: str, module: nn.Module) -> dict[str, Any]:
    """The state of a removed wrapper, with `b.weight` stored in one of the usual ways."""
    prune.remove(module.b, "weight")
    state: dict[str, Any] = dict(module.state_dict())
    weight = state["b.weight"]
    mask = weight != 0
    if convention in ("mask", "weight_mask"):
        state["b.weight"] = torch.where(mask, weight, torch.ones(()))
        state[f"b.{convention}"] = mask
    elif convention == "parametrization":
        del state["b.weight"]
        state["b.parametrizations.weight.original"] = torch.where(mask, weight, torch.ones(()))
        state["b.parametrizations.weight.0.mask"] = mask
    elif convention == "bitmask":
        del state["b.weight"]
        state["b.weight.compressed"] = weight[mask]
        packed = np.packbits(mask.numpy(), axis=1, bitorder="little")
        state["b.weight.bitmask"] = torch.from_numpy(packed)
        state["b.weight.shape"] = torch.tensor(weight.shape)
    elif convention == "coo":
        state["b.weight"] = weight.to_sparse()
    elif convention == "csr":
        state["b.weight"] = weight.to_sparse_csr()
    elif convention == "bsr":
        state["b.weight"] = weight.to_sparse_bsr((4, 4))
    return state


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    "convention",
    ["zeros", "mask", "weight_mask", "parametrization", "bitmask", "coo", "csr", "bsr"],
)
def test_every_way_of_storing_zeros_gives_the_same_masks(tmp_path: Path, convention: str) -> None:
    module = built()
    torch.save({"state_dict": stored(convention, module)}, tmp_path / "weights.pt")
    check(on_plain(tmp_path / "weights.pt"), module)


@pytest.mark.filterwarnings("ignore:The PyTorch API of SparseSemi")
@pytest.mark.parametrize("parts", [False, True])
def test_semi_structured_tensors(tmp_path: Path, parts: bool) -> None:
    from torch.sparse import SparseSemiStructuredTensorCUTLASS
    from torch.sparse._semi_structured_conversions import (
        sparse_semi_structured_from_dense_cutlass,
    )

    module = built()
    prune.remove(module.b, "weight")
    state: dict[str, Any] = dict(module.state_dict())
    weight = state.pop("a.weight")
    packed, meta = sparse_semi_structured_from_dense_cutlass(weight.half())
    if parts:
        state |= {"a.weight.packed": packed, "a.weight.meta": meta}
    else:
        state["a.weight"] = SparseSemiStructuredTensorCUTLASS(
            weight.shape, packed, meta, None, None, None
        )
    torch.save(state, tmp_path / "weights.pt")
    trace = on_plain(tmp_path / "weights.pt")
    check(trace, module)
    assert trace.manifest.provenance["stored_as"] == {"a.weight": "semi-structured 2:4 tensor"}


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    from safetensors.torch import save_model

    torch.manual_seed(0)
    module = tied()[0]
    save_model(module, str(tmp_path / "tied.safetensors"))
    trace = extract(str(tmp_path / "tied.safetensors"), model=f"{HERE}:tied", batch=2)
    assert trace.manifest.provenance["weights"] == "checkpoint tied.safetensors"


def tied(batch: int = 2) -> tuple[nn.Module, Tensor]:
    module = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    module[2].weight = module[0].weight
    return module, torch.zeros(batch, 16)


def test_an_exported_program(tmp_path: Path) -> None:
    module = built().eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(5, 64),)), path)
    trace = extract(str(path), phase="inference", batch=2)
    check(trace, module)
    assert trace.manifest.provenance["batch"] == 5
    assert "exported with batch 5" in " ".join(trace.manifest.provenance["notes"])
    direct = extract(f"{HERE}:pruned", phase="inference", batch=5)
    names = [(op.name, op.layer, op.deps) for op in trace.operators]
    assert names == [(op.name, op.layer, op.deps) for op in direct.operators]


def test_an_onnx_graph_with_an_unremoved_mask(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from tests.workloads.onnx_models import pruned_classifier

    weights = pruned_classifier(tmp_path / "net.onnx")
    trace = extract(str(tmp_path / "net.onnx"), batch=4)
    conv, fc, head = gemm(trace, "conv1.FF"), gemm(trace, "fc.FF"), gemm(trace, "head.FF")
    assert (conv.m, conv.n, conv.k) == (4 * 17 * 16, 16, 27)
    assert conv.deps == ("pad.FF",)  # 33 rows by steps of 2 are padded on both sides, columns not
    assert (fc.m, fc.n, fc.k, fc.deps) == (4, 32, 16, ("mean.FF",))
    assert (head.m, head.n, head.k) == (4, 8, 32)
    assert fc.b.mask is not None
    np.testing.assert_array_equal(
        unpack(trace.mask(fc.b.mask), 16), weights["fc.weight_mask"].astype(bool)
    )
    assert {"fc.update", "head.update"} <= {op.name for op in trace.operators}
    from workloads.onnx.source import read_onnx

    network = read_onnx(tmp_path / "net.onnx", 2)
    x = torch.randn(2, 3, 33, 32)
    (out,) = network.module(x)
    from onnx.reference import ReferenceEvaluator

    (expected,) = ReferenceEvaluator(str(tmp_path / "net.onnx")).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_lazy_extraction_reads_no_weights() -> None:
    arguments: dict[str, Any] = {"lazy": True, "prune": "nm:2:8", "batch": 2}
    trace = extract(f"{HERE}:plain", phase="inference", **arguments)
    b = gemm(trace, "b").b
    assert b.pattern == NM(n=2, m=8)
    assert not trace.bits
    assert b.mask is not None
    bits = unpack(trace.mask(b.mask), 64).reshape(32, 8, 8)
    assert (bits.sum(2) == 2).all()
    again = extract(f"{HERE}:plain", phase="inference", **arguments)
    other = extract(f"{HERE}:plain", phase="inference", seed=1, **arguments)
    assert again.sha256() == trace.sha256() != other.sha256()
    trained = extract(f"{HERE}:plain", **arguments)
    backward = gemm(trained, "b.BP").b.mask
    assert backward is not None
    assert (unpack(trained.mask(backward), 32).reshape(64, 4, 8).sum(2) == 2).all()
    with pytest.raises(InputError, match="--lazy: no weights are read"):
        extract(f"{HERE}:plain", lazy=True, checkpoint=Path("a.pt"))


@pytest.mark.parametrize(("method", "notes"), [("bdwp", 0), ("sdwp", 1)])
def test_a_structure_stated_without_a_mask_is_not_called_dense(method: str, notes: int) -> None:
    trace = extract(
        f"{HERE}:plain", phase="inference", lazy=True, batch=2, method=method,
        prune="nm:2:8:outputs" if method == "bdwp" else "nm:2:8",
    )  # fmt: skip
    said = trace.manifest.provenance.get("notes", [])
    assert (gemm(trace, "b").b.pattern == Dense()) == bool(notes)
    assert sum("nothing is pruned" in note for note in said) == notes


class MaskBuffers(nn.Module):
    """Masks as buffers, applied in the ways people write it; one mask hides with -inf."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(32, 64))
        self.v = nn.Parameter(torch.randn(32, 32))
        self.register_buffer("keep", torch.rand(32, 64) < 0.3)
        self.register_buffer("drop", torch.rand(32, 32) < 0.6)
        self.register_buffer("hidden", torch.full((4, 4), float("-inf")).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.linear(x, torch.where(self.keep, self.w, 0.0)).relu()
        x = nn.functional.linear(x, self.v.masked_fill(self.drop, 0.0))
        return torch.softmax(x @ x.transpose(-1, -2) + self.hidden, -1) @ x


def mask_buffers(batch: int = 2) -> tuple[nn.Module, Tensor]:
    return MaskBuffers(), torch.zeros(batch, 4, 64)


def test_masks_as_buffers_are_seen_through() -> None:
    trace = extract(f"{HERE}:mask_buffers", batch=2)
    torch.manual_seed(0)
    module, _ = mask_buffers()
    for name, mask in (("w", module.keep), ("v", ~module.drop)):
        operand = gemm(trace, f"{name}.FF").b
        assert operand.tensor == name
        assert operand.mask is not None
        bits = unpack(trace.mask(operand.mask), mask.shape[1])
        np.testing.assert_array_equal(bits, mask.numpy())
    assert {"w.update", "v.update"} <= {op.name for op in trace.operators}


@pytest.mark.filterwarnings("ignore")
def sparsified(batch: int = 2) -> tuple[nn.Module, Tensor]:
    """torch.ao.pruning before squash_mask, and a parameter in a sparse layout."""
    from torch.ao.pruning import WeightNormSparsifier

    module = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    sparsifier = WeightNormSparsifier(1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    sparsifier.prepare(module, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    weight = module[2].weight.detach() * (torch.rand(64, 64) < 0.2)
    module[2].weight = nn.Parameter(weight.to_sparse_csr())
    return module, torch.zeros(batch, 64)


@pytest.mark.filterwarnings("ignore")
def test_sparsifiers_and_sparse_parameters() -> None:
    trace = extract(f"{HERE}:sparsified", phase="inference", batch=2)
    assert gemm(trace, "0").b.pattern == NM(n=2, m=4)
    assert isinstance(gemm(trace, "2").b.pattern, Unstructured)
    assert trace.manifest.provenance["stored_as"] == {"2.weight": "sparse_csr tensor"}


def test_a_program_with_an_open_batch_takes_the_batch(tmp_path: Path) -> None:
    open_batch = torch.export.Dim("batch", min=2, max=8)
    program = torch.export.export(
        built().eval(), (torch.zeros(4, 64),), dynamic_shapes=({0: open_batch},)
    )
    torch.export.save(program, tmp_path / "net.pt2")
    trace = extract(str(tmp_path / "net.pt2"), phase="inference", batch=6)
    assert gemm(trace, "a").m == 6
    assert trace.manifest.provenance["notes"] == []
    with pytest.raises(InputError, match="does not run with batch 9"):
        extract(str(tmp_path / "net.pt2"), phase="inference", batch=9)


def norms(batch: int = 2) -> tuple[nn.Module, Tensor]:
    layers = (nn.Conv1d(4, 8, 3), nn.GroupNorm(2, 8), nn.GELU(), nn.Flatten(), nn.Linear(48, 8))
    return nn.Sequential(*layers, nn.LayerNorm(8)), torch.randn(batch, 4, 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [capture_models.transposed, capture_models.functional, norms])
def test_what_torch_exports_to_onnx_comes_back(tmp_path: Path, model: Any) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from workloads.onnx.source import read_onnx

    torch.manual_seed(0)
    module, x = model(3)
    path = tmp_path / "net.onnx"
    torch.onnx.export(module.eval(), (x,), str(path), dynamo=False, opset_version=17)
    network = read_onnx(path, 3)
    torch.testing.assert_close(network.module(x)[0], module(x), rtol=1e-4, atol=1e-5)
    trace = extract(str(path), phase="inference", batch=3)
    direct = extract(f"{model.__module__}:{model.__name__}", phase="inference", batch=3)
    assert sum(op.macs_dense for op in gemms(trace)) == sum(op.macs_dense for op in gemms(direct))
    if model is capture_models.transposed:
        names = [(op.name, op.deps) for op in trace.operators]
        assert names == [(op.name, op.deps) for op in direct.operators]


def gemms(trace: Trace) -> list[Gemm]:
    return [op for op in trace.operators if isinstance(op, Gemm)]
