"""Named networks: each module in this folder is one entry and defines ``ENTRY``.

To add a network, add a file ``<name>.py`` here with ``ENTRY = CatalogEntry(build=...)``; nothing
else has to change. Entries are imported only when asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from workloads.pruning.methods import LayerPlan


@dataclass(frozen=True)
class Trained:
    """Outcome of training a catalog network: its state, held-out accuracy (0 to 1), settings."""

    state: dict[str, Any]
    accuracy: float
    settings: dict[str, Any]


#: (freshly built module, plans by weight parameter, seed) -> outcome; trains without pruning
#: where there are no plans.
Training = Callable[["nn.Module", Mapping[str, "LayerPlan"], int], Trained]


@dataclass(frozen=True)
class CatalogEntry:
    """A named network.

    Attributes:
        build: (batch) -> model with seeded weights, and its example arguments.
        training: trains the network for real, where the entry can.
    """

    build: Callable[[int], tuple[nn.Module, tuple[Any, ...]]]
    training: Training | None = None


def catalog_names() -> tuple[str, ...]:
    """Names of all entries: the modules of this folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_entry(name: str) -> CatalogEntry:
    """The entry called `name`, one of `catalog_names()`."""
    entry = importlib.import_module(f"{__name__}.{name}").ENTRY
    assert isinstance(entry, CatalogEntry)
    return entry
