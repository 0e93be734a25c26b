"""Small traces, drawn at random or written out, that need no model."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from sparsesim.trace import NM, Balanced, Dense, Gemm, Trace, Unstructured, pack
from sparsesim.trace.trace import Manifest


def manifest_of(**changes: Any) -> dict[str, Any]:
    """A manifest as JSON data: one 4 x 3 x 16 GEMM with a stored 2:8 mask, then a ReLU."""
    return {
        "schema": "sparsesim.trace",
        "schema_version": 1,
        "name": "small",
        "provenance": {"source": "by hand"},
        "tensors": [
            {"name": "x", "shape": [4, 16], "dtype": "float16", "role": "activation"},
            {"name": "w", "shape": [3, 16], "dtype": "float16", "role": "weight"},
            {"name": "y", "shape": [4, 3], "dtype": "float16", "role": "activation"},
        ],
        "masks": [{"id": "w.k", "tensor": "w", "rows": 3, "columns": 16}],
        "operators": [gemm(), relu()],
        **changes,
    }


def gemm(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "gemm",
        "name": "fc.FF",
        "layer": "fc",
        "phase": "FF",
        "m": 4,
        "n": 3,
        "k": 16,
        "a": {"tensor": "x"},
        "b": {"tensor": "w", "pattern": {"kind": "nm", "n": 2, "m": 8}, "mask": "w.k"},
        "output": "y",
        **changes,
    }


def relu(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "elementwise",
        "name": "relu.FF",
        "layer": "relu",
        "phase": "FF",
        "deps": ["fc.FF"],
        "function": "relu",
        "elements": 12,
        "inputs": ["y"],
        "outputs": ["y"],
        **changes,
    }


def two_of_eight(rows: int = 3, columns: int = 16) -> np.ndarray:
    """A boolean mask that keeps the first two of every eight columns."""
    return np.tile(np.arange(columns) % 8 < 2, (rows, 1))


def small_trace() -> Trace:
    return Trace(Manifest.model_validate(manifest_of()), {"w.k": pack(two_of_eight())})


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Chains of GEMMs whose right operand has a mask of its pattern, stored or generated."""
    names = draw(
        st.lists(
            st.text(st.characters(exclude_characters="/\\\0"), min_size=1, max_size=6),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    tensors: list[dict[str, Any]] = []
    masks: list[dict[str, Any]] = []
    operators: list[dict[str, Any]] = []
    bits = {}
    for number, name in enumerate(names):
        m, n, groups = (draw(st.integers(1, 5)) for _ in range(3))
        pattern = draw(patterns())
        unit = getattr(pattern, "m", getattr(pattern, "group", 1))
        k = unit * draw(st.integers(1, 4))
        seed = draw(st.integers(0, 2**32))
        mask = {"id": name, "tensor": f"w {name}", "rows": n * groups, "columns": k}
        if draw(st.booleans()):
            mask["generator"] = {"pattern": pattern.model_dump(), "seed": seed}
        else:
            bits[name] = pack(random_mask(pattern, n * groups, k, seed))
        masks.append(mask)
        for kind, shape in (("x", [groups, m, k]), ("w", [groups, n, k]), ("y", [groups, m, n])):
            tensors.append(
                {"name": f"{kind} {name}", "shape": shape, "dtype": "float16", "role": "state"}
            )
        operators.append(
            gemm(
                name=name,
                layer=name,
                deps=draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else [],
                m=m,
                n=n,
                k=k,
                groups=groups,
                a={"tensor": f"x {name}"},
                b={"tensor": f"w {name}", "pattern": pattern.model_dump(), "mask": name},
                output=f"y {name}",
            )
        )
    provenance = draw(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4)))
    manifest = manifest_of(tensors=tensors, masks=masks, operators=operators, provenance=provenance)
    return Trace(Manifest.model_validate(manifest), bits)


def patterns() -> st.SearchStrategy[Dense | NM | Balanced | Unstructured]:
    group_and_kept = st.integers(1, 12).flatmap(
        lambda group: st.tuples(st.just(group), st.integers(1, group))
    )
    return st.one_of(
        st.just(Dense()),
        group_and_kept.map(lambda pair: NM(n=pair[1], m=pair[0])),
        group_and_kept.map(lambda pair: Balanced(group=pair[0], kept=pair[1])),
        st.floats(0.01, 1.0).map(lambda density: Unstructured(density=density)),
    )


def random_mask(
    pattern: Dense | NM | Balanced | Unstructured, rows: int, columns: int, seed: int
) -> np.ndarray:
    """A mask that keeps `pattern`, drawn row by row and group by group (not as `generate` does)."""
    rng = np.random.default_rng(seed)
    mask = np.ones((rows, columns), dtype=np.bool_)
    if isinstance(pattern, Unstructured):
        return rng.random((rows, columns)) < 0.5
    if isinstance(pattern, NM | Balanced):
        group = pattern.m if isinstance(pattern, NM) else pattern.group
        for row in range(rows):
            for start in range(0, columns, group):
                kept = (
                    pattern.kept if isinstance(pattern, Balanced) else rng.integers(pattern.n + 1)
                )
                mask[row, start : start + group] = rng.permutation(group) < kept
    return mask


def operators_of(trace: Trace) -> list[Gemm]:
    return [operator for operator in trace.operators if isinstance(operator, Gemm)]
