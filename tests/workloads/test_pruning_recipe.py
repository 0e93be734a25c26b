"""The words of --prune: what they mean and which are refused."""

from __future__ import annotations

import pytest

from sparsesim.errors import InputError
from sparsesim.trace import NM, Balanced, Dense, Unstructured
from workloads.pruning.allocation import ErdosRenyiKernel, GlobalMagnitude
from workloads.pruning.group_quantisation import GroupQuantised
from workloads.pruning.structures import (
    AlongOutputs,
    Blocks,
    BothAxes,
    ConstantFanIn,
    DoublePruned,
    FlatButterfly,
)
from workloads.recipe import check_choice, parse_pruning


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("none", Dense()),
        ("nm:2:8", NM(n=2, m=8)),
        ("nm:1:1", NM(n=1, m=1)),
        ("balanced:1", Balanced(group=32, kept=32)),
        ("balanced:16", Balanced(group=32, kept=2)),
        ("balanced:32", Balanced(group=32, kept=1)),
        ("unstructured:0.9", Unstructured(density=0.1)),
        ("unstructured:0", Unstructured(density=1.0)),
        ("nm:2:8:outputs", AlongOutputs(NM(n=2, m=8))),
        ("nm:2:4:both", BothAxes(NM(n=2, m=4))),
        ("nm:2:4:double", DoublePruned(NM(n=2, m=4))),
        ("erk:0.9", ErdosRenyiKernel(0.1)),
        ("global:0.5", GlobalMagnitude(0.5)),
        ("block:1x16:0.5", Blocks(1, 16, 0.5)),
        ("fanin:0.75", ConstantFanIn(0.25)),
        ("butterfly:8", FlatButterfly(8)),
        ("gqsa:16:0.5", GroupQuantised(16, 0.5, 4)),
        ("gqsa:8:0:3", GroupQuantised(8, 1.0, 3)),
    ],
)
def test_a_recipe_is_read_as_a_pattern(text: str, pattern: object) -> None:
    assert parse_pruning(text) == pattern


@pytest.mark.parametrize(
    "text",
    [
        "", "nm", "nm:2", "nm:2:", "nm:2:8:1", "nm:9:8", "nm:0:8", "nm:-2:8", "nm:2:-8", "nm:a:8",
        "nm:2.0:8", "nm:²:8", "nm:2:4096", "balanced", "balanced:3", "balanced:0", "balanced:-1",
        "balanced:64", "balanced:1, 2", "unstructured", "unstructured:1.5", "unstructured:1",
        "unstructured:-0.1", "unstructured:nan", "unstructured:inf", "unstructured:x",
        "unstructured:0.1:0.2", "none:1", "nm:2:8:k", "nm:9:8:both", "nm:2:8:both:1", "erk",
        "erk:1", "global:x", "block", "block:8:0.5", "block:8x8", "block:0x8:0.5", "block:8x8:1",
        "block:8x8x8:0.5", "fanin:-1", "butterfly", "butterfly:0", "butterfly:8:2", "butterfly:x",
        "gqsa", "gqsa:16", "gqsa:0:0.5", "gqsa:16:1", "gqsa:16:0.5:1", "gqsa:16:0.5:9",
        "gqsa:16:0.5:", "gqsa:16:0.5:4:4", "gqsa:x:0.5", "wanda:0.5", "NM:2:8",
    ],
)  # fmt: skip
def test_an_impossible_recipe_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match="--prune") as caught:
        parse_pruning(text)
    assert "\n" not in str(caught.value)


def test_a_near_miss_is_pointed_out() -> None:
    with pytest.raises(InputError, match="did you mean 'unstructured'"):
        parse_pruning("unstructred:0.9")
    with pytest.raises(InputError, match="did you mean 'bdwp'"):
        check_choice("--method", "bdw", ("dense", "bdwp"))
