"""Energy per action from `actions.yaml`: one sourced table, scaled to a technology node."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_TABLE = Path(__file__).with_name("actions.yaml")


@cache
def _table() -> dict[str, Any]:
    content = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@cache
def energy_pj(action: str, node_nm: int) -> float:
    """Energy of one `action` in pJ (per operation or byte, as the table says) at `node_nm`.

    Raises:
        KeyError: the table has no such action or node.
    """
    table = _table()
    entry = table["actions"][action]
    if entry["scales"] == "none":
        return float(entry["pj"])
    return float(entry["pj"]) * float(table["scaling"][entry["scales"]][node_nm])


def nodes() -> list[int]:
    """Technology nodes, nm, that the table can scale to."""
    return sorted(_table()["scaling"]["logic"])


def moved_energy(moved: Mapping[str, int], node_nm: int) -> dict[str, float]:
    """Energy in pJ of moving bytes, by memory level.

    Args:
        moved: bytes by `<level>_<stream>`, levels dram, scratchpad and register.
    """
    totals = dict.fromkeys(("dram", "scratchpad", "register"), 0.0)
    for stream, count in moved.items():
        level = stream.partition("_")[0]
        totals[level] += count * energy_pj(level, node_nm)
    return totals
