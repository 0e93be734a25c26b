"""The page: one HTML file with everything in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.figures.plate import Plate
from reports.tables import Table

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A written plate as the page shows it."""

    plate: Plate
    svg: bytes

    @property
    def uri(self) -> str:
        # An image of its own keeps the identifiers of the figures' clip paths apart.
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True)
class Section:
    """A part of the page; `folded` tables open on a click."""

    title: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()
    notes: Sequence[str] = ()


def render(title: str, trust: Sequence[str], sections: Sequence[Section], version: str) -> str:
    """The HTML text."""
    import jinja2
    import yaml

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        trust=trust,
        sections=sections,
        version=version,
        css=(_HERE / "page.css").read_text(),
        definitions=yaml.safe_load((_HERE / "definitions.yaml").read_text()),
    )
