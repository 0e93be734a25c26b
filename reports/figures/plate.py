"""A plate: one figure with its name, caption and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES = "figures"
DATA = "data"


@dataclass(frozen=True)
class Plate:
    """A figure ready to be written.

    Attributes:
        name: file name without suffix, unique in a report.
        data: every number the figure shows, units in the column names.
        wide: spans both columns of a page.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    wide: bool = False

    def is_written(self, folder: Path) -> bool:
        """Whether a plate of this name stands under `folder` already."""
        return (folder / DATA / f"{self.name}.csv").exists()

    def write(self, folder: Path) -> bytes:
        """Write `figures/NAME.png`, `figures/NAME.svg`, `data/NAME.csv`; return the SVG."""
        svg = folder / FIGURES / f"{self.name}.svg"
        for parent in (svg.parent, folder / DATA):
            parent.mkdir(exist_ok=True)
        self.figure.savefig(svg.with_suffix(".png"), metadata={"Software": None})
        self.figure.savefig(svg, metadata={"Date": None})
        self.data.to_csv(folder / DATA / f"{self.name}.csv", index=False)
        return svg.read_bytes()
