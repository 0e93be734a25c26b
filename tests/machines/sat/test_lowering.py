"""Does the machine select N:M values and fuse element-wise work as its options say?"""

from __future__ import annotations

from typing import Any

import pytest

from sparsesim.errors import InputError
from sparsesim.machines.registry import load_machine
from sparsesim.machines.sat.lowering import lower
from sparsesim.machines.sat.steps import GemmStep, ReductionStep, Step, UpdateStep, VectorStep
from sparsesim.simulate import run
from sparsesim.trace import (
    NM,
    Dense,
    Elementwise,
    Gemm,
    Manifest,
    Operand,
    Pattern,
    Reduction,
    Tensor,
    Trace,
)
from sparsesim.trace.operators import Phase, Role

ROWS, WIDTH = 512, 64
SPARSE = NM(n=2, m=8)


def product(
    name: str, phase: Phase, a: Operand, b: Operand, output: str, *deps: str, rows: int = ROWS
) -> Gemm:
    depth = WIDTH if phase != "WU" else ROWS
    return Gemm(
        name=name, layer="layer", phase=phase, deps=deps, m=rows, n=WIDTH, k=depth, a=a, b=b,
        output=output,
    )  # fmt: skip


def pointwise(
    name: str, phase: Phase, function: str, inputs: tuple[str, ...], output: str, *deps: str
) -> Elementwise:
    return Elementwise(
        name=name, layer="layer", phase=phase, deps=deps, function=function,
        elements=ROWS * WIDTH, inputs=inputs, outputs=(output,),
    )  # fmt: skip


def layer_step(
    forward: Pattern = SPARSE, backward: Pattern = SPARSE, gradient: Pattern | None = None
) -> Trace:
    """One training step of a linear layer with batch-norm and ReLU."""
    roles: dict[str, Role] = {
        "x": "activation", "y": "activation", "normal": "activation", "out": "activation",
        "out.grad": "gradient", "normal.grad": "gradient", "y.grad": "gradient",
        "x.grad": "gradient", "w": "weight", "w.grad": "gradient",
        "master": "state", "momentum": "state",
    }  # fmt: skip
    tensors = tuple(
        Tensor(
            name=name,
            shape=(WIDTH, WIDTH) if name.startswith("w") or role == "state" else (ROWS, WIDTH),
            dtype="float32" if role == "state" else "float16",
            role=role,
        )
        for name, role in roles.items()
    )
    back = Operand(tensor="y.grad", pattern=gradient or Dense())
    operators = (
        product("ff", "FF", Operand(tensor="x"), Operand(tensor="w", pattern=forward), "y"),
        pointwise("bn", "FF", "batch_norm", ("y",), "normal", "ff"),
        pointwise("relu", "FF", "relu", ("normal",), "out", "bn"),
        pointwise("loss", "BP", "loss", ("out",), "out.grad", "relu"),
        pointwise("relu.b", "BP", "relu_backward", ("out.grad", "out"), "normal.grad", "loss"),
        pointwise("bn.b", "BP", "batch_norm_backward", ("normal.grad", "y"), "y.grad", "relu.b"),
        product("bp", "BP", back, Operand(tensor="w", pattern=backward), "x.grad", "bn.b"),
        product(
            "wu", "WU", Operand(tensor="x"), Operand(tensor="y.grad"), "w.grad", "bn.b", rows=WIDTH
        ),
        Elementwise(
            name="update", layer="layer", phase="WU", deps=("wu", "bp"), function="sgd_momentum",
            elements=WIDTH * WIDTH, inputs=("master", "momentum", "w.grad"),
            outputs=("master", "momentum", "w"),
        ),
    )  # fmt: skip
    return Trace(Manifest(name="layer", tensors=tensors, operators=operators))


def steps_of(trace: Trace, **options: Any) -> dict[str, Step]:
    return {step.name: step for step in lower(trace, load_machine("sat", options).spec)}


def test_pregenerated_copies_are_made_by_the_update() -> None:
    steps = steps_of(layer_step(), fusion="none")
    assert not any(isinstance(step, ReductionStep) for step in steps.values())
    update = steps["update"]
    assert isinstance(update, UpdateStep)
    assert update.reductions == (SPARSE, SPARSE)  # groups along either axis
    assert not update.dense_copy


def test_a_pass_that_reads_dense_weights_needs_a_dense_copy() -> None:
    """SR-STE: forward N:M, backward groups that save nothing."""
    update = steps_of(layer_step(backward=NM(n=2, m=8, axis="n")), fusion="none")["update"]
    assert isinstance(update, UpdateStep)
    assert update.reductions == (SPARSE,)
    assert update.dense_copy


def test_online_selection_comes_right_before_the_product() -> None:
    steps = steps_of(layer_step(), fusion="none", weight_reduction="online")
    update, select, forward = steps["update"], steps["bp.select"], steps["ff"]
    assert isinstance(update, UpdateStep)
    assert update.dense_copy
    assert not update.reductions
    assert isinstance(select, ReductionStep)
    assert select.elements == WIDTH * WIDTH
    assert select.deps == ("bn.b",)
    assert select.holds_array
    assert steps["bp"].deps == ("bn.b", "bp.select")
    assert forward.deps == ("ff.select",)


def test_gradients_are_selected_online_whatever_the_weights_are() -> None:
    steps = steps_of(layer_step(Dense(), Dense(), SPARSE), fusion="none")
    select = steps["bp.select"]
    assert isinstance(select, ReductionStep)
    assert select.elements == ROWS * WIDTH
    assert not select.holds_array
    assert isinstance(steps["update"], UpdateStep)


def test_weights_nobody_updates_are_compact_already() -> None:
    trace = layer_step()
    inference = Trace(trace.manifest.model_copy(update={"operators": trace.operators[:3]}))
    names = steps_of(inference, fusion="none", weight_reduction="online")
    assert set(names) == {"ff", "bn", "relu"}


def test_a_pattern_the_sorter_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match=r"'ff'.*8:16 needs N <= sorter_entries = 4"):
        steps_of(layer_step(NM(n=8, m=16)), sorter_entries=4)


def test_without_fusion_every_operator_is_a_step() -> None:
    trace = layer_step()
    assert list(steps_of(trace, fusion="none")) == [operator.name for operator in trace.operators]


def test_a_stream_neither_writes_nor_reads_what_nobody_else_wants() -> None:
    steps = steps_of(layer_step(), fusion="elementwise")
    stream = steps["bn+relu"]
    assert isinstance(stream, VectorStep)
    assert stream.read == (("y", 2),)  # statistics, then scaling
    assert stream.written == ("out",)
    assert stream.runs == (2, 1)
    # The loss belongs to another phase, and depends on the stream that makes its input.
    assert steps["loss+relu.b"].deps == ("bn+relu",)


def test_a_second_sweep_repeats_the_parts_before_it() -> None:
    """relu_backward runs twice; with few lanes that is slower than a round trip to the DRAM."""
    stream = steps_of(layer_step(), fusion="elementwise", vector_lanes=4096)["loss+relu.b+bn.b"]
    assert isinstance(stream, VectorStep)
    assert stream.runs == (2, 2, 2)
    assert dict(stream.read) == {"out": 2, "y": 2}
    assert stream.written == ("y.grad",)
    assert "bn.b" in steps_of(layer_step(), fusion="elementwise", vector_lanes=1)


def test_statistics_taken_at_the_output_port_save_a_sweep() -> None:
    steps = steps_of(layer_step(), fusion="drain")
    stream, forward = steps["bn+relu"], steps["ff"]
    assert isinstance(stream, VectorStep)
    assert stream.read == (("y", 1),)
    assert isinstance(forward, GemmStep)
    assert forward.drained == ("batch_norm",)


def test_relu_at_the_output_port_is_free() -> None:
    trace = layer_step()
    after = pointwise("relu", "FF", "relu", ("y",), "out", "ff")
    next_layer = product("next", "FF", Operand(tensor="out"), Operand(tensor="w"), "y", "relu")
    manifest = trace.manifest.model_copy(
        update={"operators": (trace.operators[0], after, next_layer)}
    )
    steps = steps_of(Trace(manifest), fusion="drain")
    assert list(steps) == ["ff", "next"]
    assert steps["next"].deps == ("ff",)


def test_pooling_is_no_part_of_a_stream() -> None:
    trace = layer_step()
    pool = Reduction(
        name="pool", layer="layer", phase="FF", deps=("relu",), function="max_pool2d",
        elements=ROWS * WIDTH, inputs=("out",), outputs=("x.grad",),
    )  # fmt: skip
    manifest = trace.manifest.model_copy(update={"operators": (*trace.operators[:3], pool)})
    assert list(steps_of(Trace(manifest), fusion="elementwise")) == ["ff", "bn+relu", "pool"]


@pytest.mark.parametrize("weight_reduction", ["pregenerated", "online"])
@pytest.mark.parametrize("fusion", ["none", "elementwise", "drain"])
def test_options_change_time_but_not_the_products(fusion: str, weight_reduction: str) -> None:
    result = run(
        layer_step(), "sat", overrides={"fusion": fusion, "weight_reduction": weight_reduction}
    )
    plain = run(layer_step(), "sat", overrides={"fusion": "none"})
    for total in ("macs_dense", "macs_effective"):
        assert result.summary()[total] == plain.summary()[total]
    sorter = result.engines["sorter"]
    assert sorter.busy_cycles > 0
    assert sorter.cycles == result.total_cycles


def test_pregeneration_is_faster_than_online_selection() -> None:
    made, online = (
        run(layer_step(), "sat", overrides={"weight_reduction": option})
        for option in ("pregenerated", "online")
    )
    assert made.total_cycles < online.total_cycles
