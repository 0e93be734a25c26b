"""Synthesized area and clock of a whole design, from a table of synthesized units."""

from sparsesim.area.composition import Part, parts_of
from sparsesim.area.table import AREA_COLUMNS, AreaTable, Entry, read_table

__all__ = ["AREA_COLUMNS", "AreaTable", "Entry", "Part", "parts_of", "read_table"]
