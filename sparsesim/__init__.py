"""SparseSim: cycle-level simulation and co-design of sparse accelerators.

The verbs of the command line exist as functions: `extract`, `export`, `run`, `sweep`, `emit`,
`verify`, `report`. They are imported on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_VERBS = {
    "extract": "workloads.extract",
    "export": "workloads.exports.export",
    "run": "sparsesim.simulate",
    "sweep": "sparsesim.sweep",
    "emit": "hw.emit",
    "verify": "hw.verify",
    "report": "reports.report",
}

__all__ = ["__version__", *_VERBS]


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module 'sparsesim' has no attribute {name!r}")
    return getattr(importlib.import_module(_VERBS[name]), name)
