"""The traces of a sweep: files as they are, or extracted once per distinct set of parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sparsesim
from sparsesim import trace as traces
from sparsesim.errors import InputError
from sparsesim.sweep.progress import OnProgress, Tally
from sparsesim.sweep.space import TraceSpace
from sparsesim.trace import Trace

#: ``extract(source, *, prune, method, phase, batch, seed)``
Extract = Callable[..., Trace]


@dataclass(frozen=True)
class TracePoint:
    """A trace of the grid and the choices that made it, as columns of the table."""

    path: Path
    name: str
    sha256: str
    prune: str
    method: str
    parameters: dict[str, Any]


def trace_files(space: TraceSpace, path: Path) -> list[TracePoint]:
    """Load and check the files of `space`; they are relative to the folder of SPACE.yaml.

    Raises:
        InputError: a file is missing or is not a trace.
    """
    return [
        _described(path.parent / name, traces.load(_present(path, name)), {"trace_file": name})
        for name in space.files or ()
    ]


def extracted_traces(
    space: TraceSpace, path: Path, folder: Path, extract: Extract, on_progress: OnProgress
) -> list[TracePoint]:
    """Extract the traces of `space` into `folder`, except those that an earlier run left there.

    Args:
        path: SPACE.yaml; a source that is a file is relative to its folder.

    Raises:
        InputError: a source or an option does not exist, or `folder` cannot be written.
    """
    folder.mkdir(exist_ok=True)
    found = []
    for number, arguments in enumerate(space.extractions()):
        on_progress(Tally("extracting traces", number, space.size))
        source, *_ = arguments.values()
        options = {key: value for key, value in arguments.items() if key != "source"}
        beside = path.parent / source
        is_file = beside.suffix != "" and beside.is_file()
        content = hashlib.sha256(beside.read_bytes()).hexdigest() if is_file else None
        file = folder / f"{_extraction_id(arguments, content)}.trace"
        if not file.exists():
            traces.save(extract(str(beside) if is_file else source, **options), file)
        columns = {f"trace_{key}": value for key, value in arguments.items()}
        found.append(_described(file, traces.load(file), columns))
    on_progress(Tally("extracting traces", space.size, space.size))
    return found


def _extraction_id(arguments: dict[str, Any], content: str | None) -> str:
    record = {**arguments, "content": content, "version": sparsesim.__version__}
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def _present(path: Path, name: str) -> Path:
    file = path.parent / name
    if not file.is_file():
        raise InputError(f"{path}: trace.files: no file {str(file)!r}")
    return file


def _described(path: Path, trace: Trace, parameters: dict[str, Any]) -> TracePoint:
    def from_provenance(key: str) -> str:
        return str(trace.manifest.provenance.get(key, parameters.get(f"trace_{key}", "")))

    return TracePoint(
        path=path.resolve(),
        name=trace.name,
        sha256=trace.sha256(),
        prune=from_provenance("prune"),
        method=from_provenance("method"),
        parameters=parameters,
    )
