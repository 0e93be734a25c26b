"""Numbers with units, as axes and tables show them."""

from __future__ import annotations

import math

TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


def axis_prefix(largest: float) -> tuple[float, str]:
    """Divisor and SI prefix that bring `largest` between 1 and 1000."""
    if not (math.isfinite(largest) and largest > 0):
        return 1.0, ""
    exponent = min(12, max(-12, 3 * math.floor(math.log10(largest) / 3)))
    return 10.0**exponent, _PREFIXES[exponent]


def short(value: float) -> str:
    """A number for a tick: six digits below ten thousand, then three and an SI prefix."""
    if abs(value) < 1e4:
        return f"{value:g}"
    divisor, prefix = axis_prefix(abs(value))
    return f"{value / divisor:.3g} {prefix}"


def quantity(value: float, unit: str) -> str:
    """Three significant digits, an SI prefix and the unit: ``2.35 mJ``."""
    value = float(f"{value:.3g}")  # before the prefix is chosen, or 999.9 would show as 1000
    divisor, prefix = axis_prefix(abs(value))
    scaled = value / divisor
    digits = max(0, 2 - math.floor(math.log10(abs(scaled)))) if scaled else 0
    return f"{scaled:.{digits}f} {prefix}{unit}".strip()
