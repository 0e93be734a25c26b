"""The numbers that `inspect` shows."""

from __future__ import annotations

from sparsesim.trace import Manifest, Trace
from sparsesim.trace.summary import summarize
from tests.trace.small_traces import gemm, manifest_of, relu, small_trace


def test_densities_come_from_the_mask() -> None:
    trace = small_trace()
    sparser = trace.bits["w.k"].copy()
    sparser[0] = 0  # 2:8 allows fewer than two
    summary = summarize(Trace(trace.manifest, {"w.k": sparser}))
    row = summary["operators"][0]
    assert row["operands"]["b"] == {
        "tensor": "w", "pattern": "2:8@k", "density": 8 / 48, "measured": True,
    }  # fmt: skip
    assert row["operands"]["a"]["density"] == 1.0
    assert not row["operands"]["a"]["measured"]
    assert (summary["mask_bits"], summary["mask_bits_kept"]) == (48, 8)
    assert (row["macs_dense"], row["macs_nonzero"]) == (4 * 3 * 16, 4 * 8)


def test_totals() -> None:
    grouped = gemm(name="second", groups=2, b={"tensor": "w", "pattern": {"kind": "dense"}})
    operators = [gemm(), relu(), grouped]
    trace = Trace(Manifest.model_validate(manifest_of(operators=operators)), small_trace().bits)
    summary = summarize(trace)
    assert summary["kinds"] == {"gemm": 2, "elementwise": 1}
    assert summary["phases"] == {"FF": 3}
    assert summary["tensor_bytes"] == 2 * (4 * 16 + 3 * 16 + 4 * 3)
    assert summary["macs_dense"] == 3 * 192
    assert summary["sha256"] == trace.sha256()
    assert summary["operators"][1]["shape"] == {"elements": 12}
    assert summary["operators"][1]["deps"] == 1
