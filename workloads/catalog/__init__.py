"""Named networks: each module in this folder is one entry and defines ``ENTRY``.

To add a network, add a file ``<name>.py`` here with ``ENTRY = CatalogEntry(build=...)``; nothing
else has to change. Its modules live in the file itself or, where entries share them, in
``networks/``. Entries are imported only when asked for, and import PyTorch only in ``build``: so
the catalog can be listed without it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsesim.errors import InputError
from sparsesim.validation import Record, did_you_mean, one_line, shown

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

#: A model with seeded weights, and its example arguments.
Example = tuple["nn.Module", tuple[Any, ...]]


@dataclass(frozen=True)
class CatalogEntry:
    """A named network.

    Attributes:
        build: (batch) -> example, or (batch, chosen parameters) where the entry has parameters.
        training: trains the network for real, where the entry can.
        title: the network and its data set, in a few words.
        source: the paper, and what of the configuration is not from it.
        parameters: record of what may be chosen, each field with a description.
        defaults: values of parameters that the record gives no default, or another one.
        inputs: example arguments by name; an extent is a number, ``batch``, a parameter, or words.
        lazy: too large to hold: always built on the meta device.
    """

    build: Callable[..., Example]
    training: Training | None = None
    title: str = ""
    source: str = ""
    parameters: type[Record] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    lazy: bool = False

    def example(self, name: str, batch: int, values: Mapping[str, Any]) -> Example:
        """Build the network called `name` with `values` in place of the defaults.

        Raises:
            InputError: a parameter does not exist or has an impossible value.
        """
        chosen = self.choose(name, values)
        return self.build(batch) if chosen is None else self.build(batch, chosen)

    def choose(self, name: str, values: Mapping[str, Any]) -> Record | None:
        """The checked parameters, or None where the entry has none.

        Raises:
            InputError: a parameter does not exist or has an impossible value.
        """
        allowed = () if self.parameters is None else tuple(self.parameters.model_fields)
        for key in values:
            if key not in allowed:
                known = f"allowed: {', '.join(allowed)}" if allowed else "it has none"
                hint = did_you_mean(key, allowed)
                raise InputError(f"{name}: no parameter {shown(key)}{hint}; {known}")
        if self.parameters is None:
            return None
        try:
            return self.parameters.model_validate({**self.defaults, **values})
        except ValidationError as error:
            raise one_line(f"{name}: --param", error) from None


def catalog_names() -> tuple[str, ...]:
    """Names of all entries: the modules of this folder."""
    found = pkgutil.iter_modules(__path__)
    return tuple(sorted(module.name for module in found if not module.ispkg))


def load_entry(name: str) -> CatalogEntry:
    """The entry called `name`, one of `catalog_names()`."""
    entry = importlib.import_module(f"{__name__}.{name}").ENTRY
    assert isinstance(entry, CatalogEntry)
    return entry
