"""ResNet-18: shapes and counts against torch, masks against its real weights, dependencies."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from sparsesim.trace import NM, Dense, Elementwise, Gemm, Reduction, Trace, Unstructured, load, save  # noqa: E402
from sparsesim.trace.masks import unpack  # noqa: E402
from workloads.catalog.networks.resnet import BasicBlock, ResNet  # noqa: E402
from workloads.extract import extract  # noqa: E402

BATCH = 4


@pytest.fixture(scope="module")
def training() -> Trace:
    return extract("resnet18", prune="nm:2:8", batch=BATCH, seed=3)


def gemms(trace: Trace, *phases: str) -> list[Gemm]:
    return [op for op in trace.operators if isinstance(op, Gemm) and op.phase in phases]


def macs(trace: Trace, *phases: str) -> int:
    return sum(gemm.macs_dense for gemm in gemms(trace, *phases))


def test_macs_equal_what_torch_counts(training: Trace) -> None:
    with torch.device("meta"):
        model, images = ResNet(BasicBlock, (2, 2, 2, 2), 1000), torch.zeros(BATCH, 3, 224, 224)
        labels = torch.zeros(BATCH, dtype=torch.int64)
    with FlopCounterMode(display=False) as forward:
        loss = F.cross_entropy(model(images), labels)
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert 2 * macs(training, "FF") == forward.get_total_flops() == BATCH * 3_628_146_688
    assert 2 * macs(training, "BP", "WU") == backward.get_total_flops()
    assert len(gemms(training, "FF")) == 21
    assert len(gemms(training, "BP")) == 20
    assert len(gemms(training, "WU")) == 21


def test_implicit_gemms_have_their_geometry(training: Trace) -> None:
    by_name = {op.name: op for op in training.operators}
    ff, bp, wu = (by_name[f"layer2.0.conv1.{phase}"] for phase in ("FF", "BP", "WU"))
    assert isinstance(ff, Gemm)
    assert isinstance(bp, Gemm)
    assert isinstance(wu, Gemm)
    pixels = BATCH * 28 * 28
    assert (ff.m, ff.n, ff.k) == (pixels, 128, 9 * 64)
    assert (bp.m, bp.n, bp.k) == (pixels, 64, 9 * 128)
    assert (wu.m, wu.n, wu.k) == (9 * 64, 128, pixels)
    assert ff.conv is not None
    assert bp.conv is not None
    assert (ff.conv.height, ff.conv.stride, ff.conv.channels) == (56, (2, 2), 64)
    assert (bp.conv.height, bp.conv.stride, bp.conv.channels) == (28, (1, 1), 128)
    assert wu.conv == ff.conv
    assert wu.conv_transposed
    assert not bp.conv_transposed
    assert "conv1.BP" not in by_name  # the image needs no gradient
    assert "conv1.WU" in by_name


def test_patterns_masks_and_what_is_left_dense(training: Trace) -> None:
    for gemm in gemms(training, "FF", "BP", "WU"):
        pruned = gemm.phase != "WU" and gemm.layer != "conv1"
        assert gemm.b.pattern == (NM(n=2, m=8) if pruned else Dense())
        assert gemm.b.mask == (f"{gemm.layer}.weight@{gemm.phase}" if pruned else None)
        assert gemm.a.pattern == Dense()
    assert training.manifest.provenance["left_dense"] == {"conv1": "first layer"}


def test_masks_are_the_top_n_of_the_models_own_weights(training: Trace) -> None:
    torch.manual_seed(3)
    state = ResNet(BasicBlock, (2, 2, 2, 2), 1000).state_dict()
    for layer in ("layer1.0.conv1", "layer3.0.downsample.0", "fc"):
        weight = np.abs(state[f"{layer}.weight"].numpy())
        weight = weight.reshape(*weight.shape[:2], -1)  # (outputs, inputs, taps)
        for phase, matrix in (
            ("FF", weight.transpose(0, 2, 1)),
            ("BP", weight.transpose(1, 2, 0)),
        ):
            matrix = matrix.reshape(matrix.shape[0], -1)
            kept = unpack(training.mask(f"{layer}.weight@{phase}"), matrix.shape[1])
            groups, kept = matrix.reshape(-1, 8), kept.reshape(-1, 8)
            assert (kept.sum(axis=1) == 2).all()
            second = np.sort(groups, axis=1)[:, -2:]
            np.testing.assert_array_equal(np.sort(groups[kept].reshape(-1, 2), axis=1), second)


def test_dependencies_are_those_of_the_data(training: Trace) -> None:
    graph = training.graph()
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph) == [operator.name for operator in training.operators]
    writers: dict[str, str] = {}
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    for operator in training.operators:
        if isinstance(operator, Gemm):
            reads, writes = (operator.a.tensor, operator.b.tensor), (operator.output,)
        else:
            assert isinstance(operator, Elementwise | Reduction)
            reads, writes = operator.inputs, operator.outputs
        needed = {writers[tensor] for tensor in reads if tensor in writers}
        assert needed <= set(operator.deps), operator.name
        writers |= dict.fromkeys(writes, operator.name)
    # Everything is one step: each update descends from the loss, and the loss from the first GEMM.
    assert "conv1.FF" in nx.ancestors(graph, "loss.BP")
    updates = [name for name in graph if name.endswith(".update")]
    assert len(updates) == len(list(ResNet(BasicBlock, (2, 2, 2, 2), 1000).parameters()))
    assert all("loss.BP" in nx.ancestors(graph, name) for name in updates)
    # An update overwrites the weights that BP reads.
    assert "layer1.0.conv1.BP" in graph.pred["layer1.0.conv1.update"]


def test_tensors_have_the_types_of_mixed_precision_training(training: Trace) -> None:
    tensors = training.tensors
    for parameter, value in ResNet(BasicBlock, (2, 2, 2, 2), 1000).named_parameters():
        assert (tensors[parameter].dtype, tensors[parameter].role) == ("float16", "weight")
        assert tensors[f"{parameter}.master"].dtype == "float32"
        assert tensors[f"{parameter}.momentum"].role == "state"
        assert tensors[f"{parameter}.grad"].shape == tuple(value.shape)
    update = next(op for op in training.operators if op.name == "fc.update")
    assert isinstance(update, Elementwise)
    assert update.function == "sgd_momentum"
    assert update.inputs == ("fc.weight.master", "fc.weight.momentum", "fc.weight.grad")
    assert update.outputs == ("fc.weight.master", "fc.weight.momentum", "fc.weight")


def test_gradients_meet_where_a_tensor_has_two_readers(training: Trace) -> None:
    functions = [
        op.function for op in training.operators if isinstance(op, Elementwise | Reduction)
    ]
    assert functions.count("add_gradients") == 8  # one for each residual block
    assert functions.count("relu_backward") == 17
    assert functions.count("batch_norm_backward") == 20
    assert functions.count("max_pool2d_backward") == 1


def test_the_trace_survives_its_file_and_repeats_itself(training: Trace, tmp_path: Path) -> None:
    save(training, tmp_path / "r18.trace")
    assert load(tmp_path / "r18.trace").sha256() == training.sha256()
    again = extract("resnet18", prune="nm:2:8", batch=BATCH, seed=3)
    assert again.sha256() == training.sha256()
    assert extract("resnet18", prune="nm:2:8", batch=BATCH, seed=4).bits.keys() == again.bits.keys()


def test_inference_is_the_forward_pass_with_forward_masks() -> None:
    trace = extract("resnet18", prune="nm:2:8", phase="inference", batch=1)
    assert {op.phase for op in trace.operators} == {"inference"}
    assert macs(trace, "inference") == 1_814_073_344
    assert [op.name for op in trace.operators][:2] == ["conv1", "bn1"]
    assert {mask.id.rpartition("@")[2] for mask in trace.manifest.masks} == {"FF"}
    assert not any(name.endswith((".argmax", ".statistics")) for name in trace.tensors)


@pytest.mark.parametrize("method", ["srste", "sdgp", "sdwp", "dense"])
def test_methods_prune_the_operands_they_name(method: str) -> None:
    trace = extract("resnet18", prune="nm:2:8", method=method, batch=1)
    patterns = {
        phase: {
            (str(op.a.pattern), str(op.b.pattern))
            for op in gemms(trace, phase)
            if op.layer != "conv1"
        }
        for phase in ("FF", "BP", "WU")
    }
    dense = {("dense", "dense")}
    assert (
        patterns
        == {
            "srste": {"FF": {("dense", "2:8@k")}, "BP": {("dense", "2:8@n")}, "WU": dense},
            "sdgp": {"FF": dense, "BP": {("2:8@k", "dense")}, "WU": dense},
            "sdwp": {"FF": dense, "BP": {("dense", "2:8@k")}, "WU": dense},
            "dense": {"FF": dense, "BP": dense, "WU": dense},
        }[method]
    )
    assert trace.manifest.provenance["method"] == method


def test_balanced_and_unstructured_patterns() -> None:
    balanced = extract("resnet18", prune="balanced:16", phase="inference", batch=1)
    balanced.check_masks("here")
    kept = {str(op.b.pattern) for op in gemms(balanced, "inference")}
    assert kept == {"dense", "balanced 2/32@k"}
    removed = extract("resnet18", prune="unstructured:0.9", phase="inference", batch=1)
    for gemm in gemms(removed, "inference")[1:]:
        assert isinstance(gemm.b.pattern, Unstructured)
        assert gemm.b.pattern.density == pytest.approx(0.1, abs=1e-4)


def test_pruning_none_is_dense_and_says_so() -> None:
    trace = extract("resnet18", prune="none", method="srste", phase="inference", batch=1)
    assert trace.manifest.provenance["method"] == "dense"
    assert "srste has nothing to prune" in trace.manifest.provenance["notes"][0]
    assert not trace.bits


def test_a_checkpoint_gives_the_weights(tmp_path: Path) -> None:
    torch.manual_seed(11)
    model = ResNet(BasicBlock, (2, 2, 2, 2), 1000)
    wrapped = {"state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}
    torch.save(wrapped, tmp_path / "weights.pt")
    loaded = extract(
        "resnet18", prune="nm:2:8", phase="inference", batch=1, checkpoint=tmp_path / "weights.pt"
    )
    seeded = extract("resnet18", prune="nm:2:8", phase="inference", batch=1, seed=11)
    assert loaded.manifest.provenance["weights"] == "checkpoint weights.pt"
    assert seeded.manifest.provenance["weights"] == "seeded (no checkpoint)"
    for mask in seeded.manifest.masks:
        np.testing.assert_array_equal(loaded.mask(mask.id), seeded.mask(mask.id))
