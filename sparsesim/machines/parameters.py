"""Machine files: YAML in which each value carries its status and source, and `--set` overrides."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import yaml
from pydantic import ValidationError

from sparsesim.errors import InputError
from sparsesim.validation import Record, checked, did_you_mean, one_line, shown

Status = Literal["published", "derived", "assumed", "set by user"]
SpecT = TypeVar("SpecT", bound=Record)

#: Several times faster than the pure Python one; a sweep reads a machine file once per point.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_LOADER):
    """Refuses a key given twice, of which YAML would keep the last one without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _value in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key.value!r} given twice", problem_mark=key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class Value(Record):
    """One value of a machine file with its evidence."""

    value: Any
    status: Literal["published", "derived", "assumed"]
    source: str


class MachineFile(Record):
    """A machine YAML file: which family, and the values that differ from or make up its spec."""

    family: str
    name: str
    description: str = ""
    parameters: dict[str, Value]


@dataclass(frozen=True)
class Provenance:
    """Where a parameter's value comes from."""

    status: Status
    source: str


@dataclass(frozen=True)
class Machine(Generic[SpecT]):
    """A named machine: its family, its validated parameter record, and each value's evidence."""

    name: str
    family: str
    description: str
    spec: SpecT
    provenance: dict[str, Provenance]

    def sha256(self) -> str:
        """Hash of the family and all parameter values."""
        record = {"family": self.family, **self.spec.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_yaml_mapping(path: Path, keys: str) -> dict[str, Any]:
    """Parse a YAML file whose top level is a mapping; `keys` names them in the message.

    Raises:
        InputError: unreadable, not YAML, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path}: not YAML ({problem})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping with {keys}")
    return content


def read_machine_file(path: Path) -> MachineFile:
    """Parse and validate a machine YAML file.

    Raises:
        InputError: unreadable, not YAML, or a field missing or unknown.
    """
    content = read_yaml_mapping(path, "family, name, parameters")
    file = checked(MachineFile, content, str(path))
    assert isinstance(file, MachineFile)
    return file


def build_machine(
    file: MachineFile,
    base: MachineFile | None,
    spec_type: type[SpecT],
    overrides: dict[str, Any],
    where: str,
) -> Machine[SpecT]:
    """Combine the family's defaults, a file and `--set` overrides into a validated `Machine`.

    Raises:
        InputError: an unknown key (with the allowed ones) or a value out of range.
    """
    values: dict[str, Any] = {}
    provenance: dict[str, Provenance] = {}
    for source in (base, file):
        for key, entry in (source.parameters if source else {}).items():
            _known(key, spec_type, where)
            values[key] = entry.value
            provenance[key] = Provenance(entry.status, entry.source)
    for key, value in overrides.items():
        _known(key, spec_type, f"--set {key}")
        if isinstance(value, bool) and spec_type.model_fields[key].annotation in (int, float):
            raise InputError(f"--set {key}: must be a number (got {str(value).lower()})")
        values[key] = value
        provenance[key] = Provenance("set by user", "--set")
    try:
        spec = spec_type.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]["loc"]
        if not first:  # a rule over several fields: either may be the cause
            where = f"{where} with --set" if overrides else where
        elif first[0] in overrides:
            where = "--set"
        raise one_line(where, error) from None
    return Machine(file.name, file.family, file.description, spec, provenance)


def _known(key: str, spec_type: type[Record], where: str) -> None:
    allowed = list(spec_type.model_fields)
    if key not in allowed:
        raise InputError(
            f"{where}: unknown machine key {key!r}{did_you_mean(key, allowed)} "
            f"(allowed: {', '.join(allowed)})"
        )


def parse_override(text: str, option: str = "--set") -> tuple[str, Any]:
    """Split ``key=value``; the value is read as YAML, so 32, 19.2e9, true and words all work.

    Raises:
        InputError: there is no ``=`` or no key.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise InputError(f"{option} {shown(text)}: must be key=value")
    try:
        return key.strip(), int(value)  # YAML 1.1 reads 010 as eight
    except ValueError:
        pass
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    if isinstance(parsed, int | float) and ":" in value:  # which YAML 1.1 reads in base sixty
        parsed = value
    return key.strip(), number_if_numeric(parsed)


def number_if_numeric(value: Any) -> Any:
    """`value`, or the number it spells: YAML 1.1 reads 1e9 and 19.2e9 (no signs) as words."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    return value
