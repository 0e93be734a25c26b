"""Colours, sizes and the style file that all figures share.

The colours are Paul Tol's "muted" and "bright" qualitative schemes (Colour Schemes, SRON/EPS/TN/
09-002), which stay distinct for the common forms of colour blindness.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.units import short

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

STYLE_FILE = Path(__file__).with_name("sparsesim.mplstyle")

#: Widths in inches: one column and the full width of a two-column page.
COLUMN = 3.5
FULL = 7.16

#: Fixed for every figure and every run: busy first, then the stall causes in order of blame.
CYCLE_COLOURS = {
    "busy": "#332288",
    "dependency": "#CC6677",
    "input": "#88CCEE",
    "output": "#44AA99",
    "bank_conflict": "#DDCC77",
    "memory": "#882255",
    "imbalance": "#117733",
    "fill_drain": "#AA4499",
    "idle": "#DDDDDD",
}
ENERGY_COLOURS = {
    "multiply": "#332288",
    "add": "#88CCEE",
    "register": "#44AA99",
    "scratchpad": "#DDCC77",
    "dram": "#882255",
    "vector": "#BBBBBB",
    "sort": "#AA4499",
    "instruction": "#117733",
}
PHASE_COLOURS = {"FF": "#4477AA", "BP": "#EE6677", "WU": "#228833", "inference": "#4477AA"}
DENSE_COLOUR = "#BBBBBB"
#: The bright scheme, then of the muted one what stays apart from it.
SERIES_COLOURS = (
    *("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377"),
    *("#332288", "#44AA99", "#999933", "#882255", "#555555"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "p", ">", "h", "d")
INK = "#222222"
FAINT = "#999999"

CYCLE_NAMES = {"bank_conflict": "bank conflict", "fill_drain": "fill/drain"}
ENERGY_NAMES = {"dram": "DRAM", "vector": "vector unit"}


@contextmanager
def house_style() -> Iterator[None]:
    """The style file on top of Matplotlib's defaults, whatever the user's own settings are."""
    from matplotlib import style

    with style.context(["default", STYLE_FILE]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure of the given size in inches; drawn without any window system."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def series_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour per name in order, grey for ``dense``."""
    others = [name for name in names if name != "dense"]
    colours = {
        name: SERIES_COLOURS[index % len(SERIES_COLOURS)] for index, name in enumerate(others)
    }
    return {name: colours.get(name, DENSE_COLOUR) for name in names}


def log_scale(axis: Axis, low: float, high: float) -> None:
    """A logarithmic axis from `low` to `high` with plain numbers.

    1, 2, 5 if decades are few; evenly spaced numbers where that would leave less than two ticks.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    decades = math.log10(high / low)
    subs = (1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)
    narrow = decades < 0.8
    axis.set_major_locator(MaxNLocator(6) if narrow else LogLocator(10, subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_locator(LogLocator(10, range(1, 10), numticks=100))
    axis.set_minor_formatter(NullFormatter())


def legend_above(
    figure: Figure, handles: Sequence[Any], labels: Sequence[str], **options: Any
) -> None:
    """Put a legend above all axes, where it hides nothing, in as many columns as fit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if not labels:
        return
    renderer = FigureCanvasAgg(figure).get_renderer()
    for columns in range(len(labels), 0, -1):
        legend = figure.legend(handles, labels, loc="outside upper left", ncols=columns, **options)
        if columns == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            return
        legend.remove()


def ink_on(colour: str) -> str:
    """Black or white, whichever is readable on `colour` (relative luminance, WCAG 2)."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "white" if luminance < 0.3 else INK
