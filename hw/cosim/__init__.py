"""Simulators of a generated unit that take whole stimulus arrays and give whole response arrays."""
