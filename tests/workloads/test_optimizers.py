"""Does each optimizer read and write its own state, and nothing else change?"""

from __future__ import annotations

import pytest

from sparsesim.errors import InputError
from sparsesim.trace import Elementwise, Gemm, Trace
from workloads.extract import extract


def trace_with(optimizer: str) -> Trace:
    return extract("resnet9", prune="nm:2:8", batch=2, optimizer=optimizer, lazy=True)


@pytest.mark.parametrize(
    ("optimizer", "function", "state"),
    [("sgd", "sgd_momentum", ("momentum",)), ("adam", "adam", ("mean", "variance"))],
)
def test_updates_keep_their_state(optimizer: str, function: str, state: tuple[str, ...]) -> None:
    trace = trace_with(optimizer)
    updates = [op for op in trace.operators if op.name.endswith(".update")]
    assert len(updates) > 10
    for update in updates:
        assert isinstance(update, Elementwise)
        assert update.function == function
        kept = [name for name in update.inputs if trace.tensors[name].role == "state"]
        assert tuple(name.rpartition(".")[2] for name in kept) == ("master", *state)
        assert update.outputs[:-1] == tuple(kept)
        assert all(trace.tensors[name].dtype == "float32" for name in kept)
    assert trace.manifest.provenance["optimizer"] == optimizer


def test_the_optimizer_changes_no_product() -> None:
    sgd, adam = (
        [op for op in trace_with(name).operators if isinstance(op, Gemm)]
        for name in ("sgd", "adam")
    )
    assert sgd == adam


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(InputError, match=r"--optimizer 'rmsprop'.*sgd, adam"):
        trace_with("rmsprop")
