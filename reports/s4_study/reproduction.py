"""Published rates: predicted with the machine files as they are, then with two knobs fitted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from reports.s4_study.cases import Case
from reports.s4_study.simulation import captured, sparse
from sparsesim.trace import Trace
from sparsesim.validation import Record, checked

if TYPE_CHECKING:
    import pandas as pd

_FILE = Path(__file__).with_name("published.yaml")


class Point(Record):
    """A published rate and the run that it is set beside."""

    name: str
    machine: str
    source: str
    batch: int
    sparsity: int
    samples_per_second: float
    fitted: bool
    evidence: str


class PublishedFile(Record):
    """`published.yaml`."""

    points: tuple[Point, ...]
    knobs: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Reproduction:
    """The table, and the knobs' values after the fit."""

    table: pd.DataFrame
    knobs: dict[str, int]


def read_published() -> PublishedFile:
    """The published points and the knobs."""
    found = checked(PublishedFile, yaml.safe_load(_FILE.read_text()), str(_FILE))
    assert isinstance(found, PublishedFile)
    return found


def reproduce(published: PublishedFile | None = None) -> Reproduction:
    """Predict every point, fit the knobs on the points marked so, predict again.

    The fit takes, of all combinations of the knobs' values, the one with the smallest error; of
    equals the first.

    Args:
        published: default: `read_published`.
    """
    import pandas as pd

    published = published or read_published()
    traces: dict[tuple[str, int, int], Trace] = {}
    for point in published.points:
        key = (point.source, point.batch, point.sparsity)
        if key not in traces:
            case = Case(point.source, point.batch, point.name)
            traces[key] = sparse(captured(case), point.sparsity)

    def rate(point: Point, knobs: dict[str, Any]) -> float:
        from sparsesim.simulate import run

        of_family = point.machine.startswith("s")
        trace = traces[point.source, point.batch, point.sparsity]
        result = run(trace, point.machine, overrides=knobs if of_family else {})
        return point.batch / result.seconds

    def error(knobs: dict[str, Any]) -> float:
        return sum(
            abs(rate(point, knobs) / point.samples_per_second - 1)
            for point in published.points
            if point.fitted
        )

    choices = [
        dict(zip(published.knobs, values, strict=True))
        for values in product(*published.knobs.values())
    ]
    best = min(choices, key=error)
    rows = []
    for point in published.points:
        before, after = rate(point, {}), rate(point, best)
        rows.append(
            {
                "point": point.name,
                "published_per_second": point.samples_per_second,
                "predicted_per_second": before,
                "predicted_error": before / point.samples_per_second - 1,
                "calibrated_per_second": after,
                "calibrated_error": after / point.samples_per_second - 1,
                "role": "fitted" if point.fitted else "predicted",
                "evidence": point.evidence,
            }
        )
    return Reproduction(pd.DataFrame(rows), best)
