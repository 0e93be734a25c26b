"""Figures published in papers, as data with their sources."""
