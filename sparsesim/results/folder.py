"""The result folder: `summary.json`, `operators.csv`, `timeline.json.gz`.

And `check.json` of a checked run, `padding.json` of a padded one, `details.json` where the machine
family has more to tell.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsesim.atomic_output import atomic_folder
from sparsesim.errors import InputError
from sparsesim.results.record import SCHEMA_VERSION, RunResult
from sparsesim.results.tables import operator_table
from sparsesim.results.timeline_events import timeline_events

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.json"
OPERATORS = "operators.csv"
TIMELINE = "timeline.json.gz"
CHECK = "check.json"
DETAILS = "details.json"
PADDING = "padding.json"


@dataclass(frozen=True)
class StoredResult:
    """A result folder read back.

    Attributes:
        check: content of `check.json`, or None if the run was not checked.
        details: by operator, what its machine family tells beyond the common record.
    """

    path: Path
    summary: dict[str, Any]
    operators: pd.DataFrame
    check: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)


def write_folder(result: RunResult, path: Path, force: bool = False) -> None:
    """Write `result` to the folder `path`; it appears whole or not at all.

    Raises:
        CheckError: the parts do not add up to the whole.
        InputError: `path` exists and may not be replaced.
    """
    result.check_accounting()
    with atomic_folder(path, force) as folder:
        (folder / SUMMARY).write_text(json.dumps(result.summary(), indent=1) + "\n")
        operator_table(result.operators).to_csv(folder / OPERATORS, index=False)
        events = json.dumps(timeline_events(result)).encode()
        (folder / TIMELINE).write_bytes(gzip.compress(events, 6, mtime=0))
        details = {op.operator: dict(op.details) for op in result.operators if op.details}
        if details:
            (folder / DETAILS).write_text(json.dumps(details, indent=1) + "\n")
        if result.padding is not None:
            (folder / PADDING).write_text(json.dumps(dict(result.padding), indent=1) + "\n")
        if result.check is not None:
            (folder / CHECK).write_text(json.dumps(dict(result.check), indent=1) + "\n")


def is_result_folder(path: Path) -> bool:
    """Whether `path` looks like a result folder."""
    return (path / SUMMARY).is_file() and (path / OPERATORS).is_file()


def read_folder(path: Path) -> StoredResult:
    """Read a result folder back.

    Raises:
        InputError: a file is missing or damaged, or the schema version is another one.
    """
    import pandas as pd

    path = Path(path)
    if not is_result_folder(path):
        raise InputError(f"{path}: not a result folder (needs {SUMMARY} and {OPERATORS})")
    try:
        summary = json.loads((path / SUMMARY).read_text())
        operators = pd.read_csv(path / OPERATORS, keep_default_na=False)
        check = json.loads((path / CHECK).read_text()) if (path / CHECK).is_file() else None
        has_details = (path / DETAILS).is_file()
        details = json.loads((path / DETAILS).read_text()) if has_details else {}
        version = summary["schema_version"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{path}: damaged result folder ({error})") from None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}/{SUMMARY}: schema_version: must be {SCHEMA_VERSION} (got {version!r})"
        )
    if check is not None and not isinstance(check, dict):
        raise InputError(f"{path}/{CHECK}: must be an object (got {type(check).__name__})")
    if not isinstance(details, dict):
        raise InputError(f"{path}/{DETAILS}: must be an object (got {type(details).__name__})")
    return StoredResult(path, summary, operators, check, details)
