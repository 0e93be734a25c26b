"""Modules with one wrong token, compiled from the sources of the right ones."""

from __future__ import annotations

import importlib
import types
from pathlib import Path


def mutant(module_name, old, new):
    """The module, compiled from its source with the one place `old` replaced by `new`."""
    original = importlib.import_module(module_name)
    source = Path(original.__file__).read_text()
    assert source.count(old) == 1, f"{old!r} must occur once in {module_name}"
    module = types.ModuleType(module_name)
    exec(compile(source.replace(old, new), original.__file__, "exec"), vars(module))
    return module
