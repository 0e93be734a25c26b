"""What a machine family tells about one operator; the timeline puts operators together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorTime:
    """One operator with its engine and the DRAM to itself.

    `cycles` = `busy_cycles` + sum of `stall_cycles` (by cause, all causes present).
    `dram_cycles` are the clocks its DRAM transfers take; bytes by `<level>_<stream>`.
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
