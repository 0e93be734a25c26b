"""Frozen records at the edges, and one-line messages for what does not fit them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sparsesim.errors import InputError


class Record(BaseModel):
    """A frozen record that refuses unknown fields and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def shown(value: object, limit: int = 60) -> str:
    """`value` as a message shows it: its repr, cut to `limit` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for a near miss, else an empty string."""
    near = difflib.get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_line(where: str, error: ValidationError) -> InputError:
    """Turn the first fault of a validation into an `InputError` naming `where` and the field."""
    faults = error.errors(include_url=False)
    first = faults[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "missing" else f" (got {shown(first['input'])})"
    if not field:
        # A rule over several fields names them itself; the whole record would say nothing more.
        own_rule = first["type"] == "value_error"
        field, got = ("", "") if own_rule else ("(top level)", got)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    text = ": ".join(part for part in (where, field, f"{message}{got}{more}") if part)
    return InputError(" ".join(text.splitlines()))  # a field's name may hold line breaks


def checked(model: type[BaseModel], data: Any, where: str) -> Any:
    """Validate `data` into `model`; on failure raise the one-line `InputError` for `where`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise one_line(where, error) from None
