"""RTL of the SAT machine (docs/sat.md)."""
