"""Figures that only the SAT study has."""
