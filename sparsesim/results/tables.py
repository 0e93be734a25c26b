"""Operator results as a pandas table, with units in the column names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparsesim.results.record import (
    BYTE_STREAMS,
    ENERGY_COMPONENTS,
    STALL_CAUSES,
    OperatorResult,
)

if TYPE_CHECKING:
    import pandas as pd


def operator_table(operators: Sequence[OperatorResult]) -> pd.DataFrame:
    """One row per operator: cycles, stall cycles by cause, MACs, bytes by stream, energy in pJ."""
    import pandas as pd

    rows = [
        {
            "operator": op.operator,
            "layer": op.layer,
            "phase": op.phase,
            "kind": op.kind,
            "engine": op.engine,
            "mapping": op.mapping,
            "pattern": op.pattern,
            "start_cycle": op.start_cycle,
            "end_cycle": op.end_cycle,
            "cycles": op.cycles,
            "busy_cycles": op.busy_cycles,
            **{f"stall_{cause}_cycles": op.stall_cycles[cause] for cause in STALL_CAUSES},
            "predicted_cycles": op.predicted_cycles,
            "macs_dense": op.macs_dense,
            "macs_effective": op.macs_effective,
            **{f"{stream}_bytes": op.bytes.get(stream, 0) for stream in BYTE_STREAMS},
            **{f"energy_{part}_pj": op.energy_pj.get(part, 0.0) for part in ENERGY_COMPONENTS},
        }
        for op in operators
    ]
    return pd.DataFrame(rows)
