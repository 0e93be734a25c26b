"""The design space: a YAML file whose lists span a grid of machines and traces."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sparsesim.area.table import Target
from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine, number_if_numeric, read_yaml_mapping
from sparsesim.machines.registry import load_machine, named_machines
from sparsesim.results import Fidelity
from sparsesim.validation import Record, checked, shown

T = TypeVar("T")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_numbers(value: Any) -> list[Any]:
    return [number_if_numeric(item) for item in _as_list(value)]


def _no_repeats(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("needs at least one value")
    seen: set[str] = set()
    for text in map(repr, values):
        if text in seen:
            raise ValueError(f"lists {text} twice")
        seen.add(text)
    return values


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_as_list), AfterValidator(_no_repeats)]
ParameterValues = Annotated[
    tuple[Any, ...], BeforeValidator(_as_numbers), AfterValidator(_no_repeats)
]

#: Keys of `trace` that describe an extraction, in the order of its grid (last varies fastest).
EXTRACTION_KEYS = ("source", "prune", "method", "phase", "batch", "seed")


class TraceSpace(Record):
    """Trace files, or the parameters of the extractions that make them."""

    files: OneOrMore[str] | None = None
    source: OneOrMore[str] | None = None
    prune: OneOrMore[str] = ("none",)
    method: OneOrMore[str] = ("dense",)
    phase: OneOrMore[str] = ("inference",)
    batch: OneOrMore[Annotated[int, Field(ge=1)]] = (1,)
    seed: OneOrMore[Annotated[int, Field(ge=0)]] = (0,)

    @model_validator(mode="after")
    def _files_or_source(self) -> TraceSpace:
        if (self.files is None) == (self.source is None):
            raise ValueError("needs either files or source")
        extra = sorted(self.model_fields_set & set(EXTRACTION_KEYS))
        if self.files is not None and extra:
            raise ValueError(f"files are traces already, {extra[0]} applies to a source only")
        return self

    def extractions(self) -> Iterator[dict[str, Any]]:
        """Keyword arguments of each extraction: one value of each of `EXTRACTION_KEYS`."""
        for values in itertools.product(*(getattr(self, key) for key in EXTRACTION_KEYS)):
            yield dict(zip(EXTRACTION_KEYS, values, strict=True))

    @property
    def size(self) -> int:
        """How many traces the grid has."""
        if self.files is not None:
            return len(self.files)
        return math.prod(len(getattr(self, key)) for key in EXTRACTION_KEYS)


class AreaSpace(Record):
    """Where the synthesized area of the designs comes from, and whether it sets their clock."""

    target: Target = Field(default="ecp5", description="what the units were synthesized for")
    table: str | None = Field(default=None, description="table file; default: the shipped one")
    clock: Literal["machine", "fmax"] = Field(
        default="machine", description="fmax: each design runs at the clock of its slowest unit"
    )


class Space(Record):
    """The content of SPACE.yaml. Wherever a list is allowed, a single value stands for one."""

    machine: OneOrMore[str]
    set: dict[str, ParameterValues] = Field(default_factory=dict)
    trace: TraceSpace
    area: AreaSpace | None = None
    fidelity: Fidelity = "fast"
    seed: int = Field(default=0, ge=0, description="seed of the simulation")
    max_points: int = Field(default=10_000, ge=1)

    @property
    def size(self) -> int:
        """How many points the grid has."""
        parameters = math.prod(len(values) for values in self.set.values())
        return self.trace.size * len(self.machine) * parameters


@dataclass(frozen=True)
class MachinePoint:
    """A validated machine of the grid and the choices that made it, as columns of the table.

    Attributes:
        area: synthesized area by column, where the space asks for it.
    """

    machine: Machine[Any]
    parameters: dict[str, Any]
    area: dict[str, Any] = field(default_factory=dict)


def read_space(path: Path) -> Space:
    """Read and validate SPACE.yaml.

    Raises:
        InputError: unreadable, not YAML, a field unknown, missing, empty or of the wrong type,
            or a grid larger than `max_points`.
    """
    keys = "machine, set, trace, area, fidelity, seed, max_points"
    space = checked(Space, read_yaml_mapping(path, keys), str(path))
    assert isinstance(space, Space)
    if space.size > space.max_points:
        raise InputError(
            f"{path}: the grid has {space.size} points; max_points allows {space.max_points}"
        )
    return space


def machine_points(space: Space, path: Path) -> list[MachinePoint]:
    """All machines of the grid, each validated; the last key of `set` varies fastest.

    Args:
        path: SPACE.yaml; machine files are relative to its folder.

    Raises:
        InputError: a machine or key is unknown, or some combination of values is impossible.
    """
    points = []
    for name in space.machine:
        for values in itertools.product(*space.set.values()):
            chosen = dict(zip(space.set, values, strict=True))
            try:
                machine = load_machine(_beside(path, name), chosen)
            except InputError as error:
                point = ", ".join(f"{key}={shown(value)}" for key, value in chosen.items())
                raise InputError(
                    f"{path}: machine {name}{' with ' if point else ''}{point}: {error}"
                ) from None
            validated = machine.spec.model_dump(mode="json")
            points.append(
                MachinePoint(machine, {"machine": name, **{key: validated[key] for key in chosen}})
            )
    return points


def _beside(path: Path, name: str) -> str:
    is_file = name not in named_machines() and Path(name).suffix in (".yaml", ".yml")
    return str(path.parent / name) if is_file else name
