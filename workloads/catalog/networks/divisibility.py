"""Checks of parameters that must fit each other."""

from __future__ import annotations

from pydantic import ValidationInfo


def must_divide(value: int, info: ValidationInfo, whole: str) -> int:
    """`value`, if it divides the field `whole`, which comes before it.

    Raises:
        ValueError: it does not.
    """
    extent = info.data.get(whole)
    if extent is not None and extent % value:
        raise ValueError(f"must divide {whole} ({extent})")
    return value
