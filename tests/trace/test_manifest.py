"""What a manifest may say, and the one line that refuses the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings

from sparsesim.errors import InputError
from sparsesim.trace import Manifest, Trace
from sparsesim.validation import checked
from tests.trace.small_traces import gemm, manifest_of, relu, small_trace, traces


def refused(manifest: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        checked(Manifest, manifest, "a.trace")
    assert str(caught.value).startswith("a.trace: ")
    assert "\n" not in str(caught.value)


def pattern(**fields: Any) -> dict[str, Any]:
    return manifest_of(operators=[gemm(b={"tensor": "w", "pattern": fields})])


@pytest.mark.parametrize(
    ("manifest", "match"),
    [
        (manifest_of(operators=[]), "operators: .*at least 1 item"),
        (manifest_of(schema="other"), "schema is 'other'"),
        (manifest_of(schema_version=2), "schema_version 2 is not supported; this version reads 1"),
        (manifest_of(extra=1), "extra: Extra inputs are not permitted"),
        (manifest_of(name=""), "name: "),
        (manifest_of(operators=[gemm(m=0)]), r"operators\.0\.gemm\.m: .*or equal to 1"),
        (manifest_of(operators=[gemm(kind="lstm")]), "'lstm'"),
        (manifest_of(operators=[gemm(), gemm()]), "operator 'fc.FF' is defined twice"),
        (manifest_of(operators=[gemm(deps=["no"])]), "operator 'fc.FF' depends on unknown 'no'"),
        (manifest_of(operators=[relu(), gemm()]), "'fc.FF', which does not come before it"),
        (manifest_of(operators=[gemm(deps=["fc.FF"])]), "which does not come before it"),
        (manifest_of(operators=[gemm(output="z")]), "operator 'fc.FF' names unknown tensor 'z'"),
        (manifest_of(operators=[gemm(a={"tensor": "x", "mask": "no"})]), "unknown mask 'no'"),
        (manifest_of(masks=[{"id": "w.k", "tensor": "no", "rows": 3, "columns": 16}]),
         "mask 'w.k' is of an unknown tensor 'no'"),
        (manifest_of(masks=[{"id": "w.k", "tensor": "w", "rows": 4, "columns": 16}]),
         "mask 'w.k' has shape 4 x 16, operand b of 'fc.FF' needs 3 x 16"),
        (manifest_of(masks=[{"id": "../w", "tensor": "w", "rows": 3, "columns": 16}]), "id: "),
        (pattern(kind="nm", n=9, m=8), "9:8 keeps more than it has; needs N <= M"),
        (pattern(kind="nm", n=2, m=5), "groups of M=5 do not divide the 16 elements of axis 'k'"),
        (pattern(kind="nm", n=1, m=2, axis="n"), "groups of M=2 do not divide the 3 elements"),
        (pattern(kind="nm", n=1, m=2, axis="m"), "operand b has no axis 'm'; allowed: k, n"),
        (pattern(kind="balanced", group=8, kept=9), "keeps 9 of 8; needs kept <= group"),
        (pattern(kind="unstructured", density=0), "density: .*greater than 0"),
        (pattern(kind="unstructured", density=float("nan")), "density: "),
    ],
)  # fmt: skip
def test_refused(manifest: dict[str, Any], match: str) -> None:
    refused(manifest, match)


def convolution(**changes: Any) -> dict[str, Any]:
    conv = {
        "batch": 1, "height": 4, "width": 4, "channels": 4, "out_height": 2, "out_width": 2,
        "kernel": [2, 2], "stride": [2, 2], **changes,
    }  # fmt: skip
    return manifest_of(operators=[gemm(conv=conv, b={"tensor": "w"})])


def test_convolutions() -> None:
    checked(Manifest, convolution(), "a.trace")
    refused(convolution(channels=3), "im2col matrix of 4 x 12, the GEMM has 4 x 16")
    refused(convolution(kernel=[-2, -2]), r"conv\.kernel\.0: .*greater than or equal to 1")
    refused(convolution(stride=[0, 1]), r"conv\.stride\.0")
    refused(convolution(padding=[0, -1]), r"conv\.padding\.1")
    refused(convolution(dilation=[1, 0]), r"conv\.dilation\.1")


def test_groups_stay_inside_a_kernel_tap() -> None:
    manifest = convolution()
    manifest["operators"][0]["b"]["pattern"] = {"kind": "nm", "n": 2, "m": 8}
    refused(manifest, "groups of M=8 do not divide the 4 elements of axis 'k'")


@pytest.mark.parametrize(
    ("generator", "match"),
    [
        ({"pattern": {"kind": "nm", "n": 2, "m": 5}, "seed": 0}, "M=5 do not divide its 16"),
        ({"pattern": {"kind": "nm", "n": 2, "m": 8, "axis": "n"}, "seed": 0}, "along axis 'k'"),
        ({"pattern": {"kind": "csr", "rows": 3, "columns": 16, "nnz": 4}, "seed": 0}, "'csr'"),
        ({"pattern": {"kind": "dense"}, "seed": -1}, "seed"),
    ],
)
def test_generators(generator: dict[str, Any], match: str) -> None:
    mask = {"id": "w.k", "tensor": "w", "rows": 3, "columns": 16, "generator": generator}
    refused(manifest_of(masks=[mask]), match)


@settings(max_examples=40, deadline=None)
@given(trace=traces())
def test_the_order_of_operators_is_topological(trace: Trace) -> None:
    graph = trace.graph()
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph) == [operator.name for operator in trace.operators]
    place = {name: number for number, name in enumerate(graph)}
    assert all(place[before] < place[after] for before, after in graph.edges)
    assert sorted(graph.edges) == sorted(
        (dep, operator.name) for operator in trace.operators for dep in operator.deps
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.update(name="other"),
        lambda manifest: manifest["provenance"].update(seed=1),
        lambda manifest: manifest["operators"][1].update(elements=13),
    ],
)
def test_the_hash_covers_the_manifest(change: Callable[[dict[str, Any]], None]) -> None:
    manifest = manifest_of()
    change(manifest)
    trace = small_trace()
    assert Trace(Manifest.model_validate(manifest), trace.bits).sha256() != trace.sha256()


def test_the_hash_covers_the_masks() -> None:
    trace = small_trace()
    other = trace.bits["w.k"].copy()
    other[0, 0] = 0
    assert Trace(trace.manifest, {"w.k": other}).sha256() != trace.sha256()
