"""Finds texts of a figure that its edge cuts off."""

from __future__ import annotations

from reports.figures.plate import Plate


def undrawn_tick_labels(plate: Plate) -> set[object]:
    """Labels of ticks outside the limits of their axis: they exist but are never drawn."""
    undrawn: set[object] = set()
    for axes in plate.figure.axes:
        for axis in (side for one in (axes, *axes.child_axes) for side in (one.xaxis, one.yaxis)):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - slack <= tick.get_loc() <= high + slack:
                    undrawn |= {tick.label1, tick.label2}
    return undrawn


def clipped_texts(plate: Plate) -> list[str]:
    """Texts that reach beyond the edge of their figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(plate.figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    undrawn = undrawn_tick_labels(plate)
    clipped = []
    for text in plate.figure.findobj(lambda artist: isinstance(artist, Text)):
        assert isinstance(text, Text)
        if not text.get_text().strip() or not text.get_visible() or text in undrawn:
            continue
        box = text.get_window_extent(canvas.get_renderer())
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            clipped.append(text.get_text())
    return clipped
