"""What a machine family tells about one operator; the timeline puts operators together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class EngineShare:
    """What a further engine does for an operator, from its start to its end.

    `busy_cycles` + sum of `stall_cycles` are the operator's cycles.
    """

    engine: str
    mapping: str
    busy_cycles: int
    stall_cycles: dict[str, int]
    energy_pj: dict[str, float]


@dataclass(frozen=True)
class OperatorTime:
    """One operator with its engine and the DRAM to itself.

    `cycles` = `busy_cycles` + sum of `stall_cycles` (by cause, all causes present).
    `dram_cycles` are the clocks its DRAM transfers take; bytes by `<level>_<stream>`.
    `beside` are engines that it holds as well. `details` is what a family tells beyond this record:
    it goes to `details.json` as it is; its `spans` and `series` also to the timeline
    (sparsesim.results.timeline_events). `follows` are dependencies whose results it takes part by
    part, as they are made; `parts` says in how many parts it hands on its own. `ahead`, of
    `follows`, are those that work ahead of it: it waits for their first part alone.
    """

    engine: str
    mapping: str
    pattern: str
    cycles: int
    busy_cycles: int
    stall_cycles: dict[str, int]
    dram_cycles: int
    predicted_cycles: int
    macs_dense: int
    macs_effective: int
    bytes: dict[str, int]
    energy_pj: dict[str, float]
    beside: tuple[EngineShare, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    follows: frozenset[str] = frozenset()
    parts: int = 1
    ahead: frozenset[str] = frozenset()
