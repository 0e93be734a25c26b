"""Published figures to set beside predictions: where they apply and what they are an average of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import Field

from reports.labels import variant_label
from reports.runs import Pair
from reports.units import TIMES
from sparsesim.validation import Record, checked


class SpeedupEntry(Record):
    """One published speedup over dense execution on the same machine."""

    value: float = Field(gt=0)
    method: str
    prune: str
    phase: str
    networks: int = Field(ge=1, description="how many networks the value is an average over")
    source: str


class ReductionEntry(Record):
    """A share of the dense operations that is said not to be done."""

    value: float = Field(gt=0, lt=1)
    method: str
    prune: str
    phase: str
    source: str


class PaperFile(Record):
    """A data file of published figures of one machine family."""

    family: str
    citation: str
    speedups: tuple[SpeedupEntry, ...]
    operation_reductions: tuple[ReductionEntry, ...] = ()


class PublishedSpeedup(Record):
    """A published speedup that applies to runs at hand."""

    value: float
    label: str
    caption: str


def read_papers() -> list[PaperFile]:
    """All data files beside this module."""
    files = sorted(Path(__file__).parent.glob("*.yaml"))
    return [checked(PaperFile, yaml.safe_load(path.read_text()), str(path)) for path in files]


def applicable_speedups(pairs: Sequence[Pair]) -> list[PublishedSpeedup]:
    """Published speedups whose machine family, method, pattern and phase one of `pairs` has."""
    present = {
        (
            pair.sparse.machine.family,
            pair.sparse.stated("method"),
            pair.sparse.stated("prune"),
            pair.sparse.stated("phase"),
        )
        for pair in pairs
    }
    return [
        _published(paper, entry)
        for paper in read_papers()
        for entry in paper.speedups
        if (paper.family, entry.method, entry.prune, entry.phase) in present
    ]


def _published(paper: PaperFile, entry: SpeedupEntry) -> PublishedSpeedup:
    name = variant_label(entry.prune, entry.method)
    over = f"average of {entry.networks} networks" if entry.networks > 1 else "one network"
    return PublishedSpeedup(
        value=entry.value,
        label=f"published {name}, {over}: {entry.value:g}{TIMES}",
        caption=(
            f"published for {name} ({paper.citation}, {entry.source}), an {over} and not of the "
            "network shown; the predictions are not calibrated to it."
        ),
    )
