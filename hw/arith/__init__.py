"""Floating point operators for generated hardware."""
