"""The result record, its tables, its timeline and the folder they are stored in."""

from sparsesim.results.folder import StoredResult, is_result_folder, read_folder, write_folder
from sparsesim.results.record import (
    BYTE_STREAMS,
    ENERGY_COMPONENTS,
    STALL_CAUSES,
    EngineResult,
    Fidelity,
    OperatorResult,
    RunResult,
)

__all__ = [
    "BYTE_STREAMS",
    "ENERGY_COMPONENTS",
    "STALL_CAUSES",
    "EngineResult",
    "Fidelity",
    "OperatorResult",
    "RunResult",
    "StoredResult",
    "is_result_folder",
    "read_folder",
    "write_folder",
]
