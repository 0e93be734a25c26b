"""The families of machine, and how a name or a file becomes a `Machine`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sparsesim.errors import InputError
from sparsesim.machines.parameters import Machine, build_machine, read_machine_file
from sparsesim.validation import did_you_mean

#: family -> package with `spec.SPEC`, `model.simulate_operator` and the family's YAML files
FAMILIES = {
    "sat": "sparsesim.machines.sat",
    "piuma": "sparsesim.machines.piuma",
    "s4": "sparsesim.machines.s4",
    "matrix_unit": "sparsesim.machines.matrix_unit",
}


def named_machines() -> dict[str, Path]:
    """Machine files that ship with the package, by machine name."""
    root = Path(__file__).parent
    return {
        path.stem: path
        for family in sorted(FAMILIES)
        for path in sorted((root / family).glob("*.yaml"))
    }


def load_machine(name_or_file: str, overrides: dict[str, Any] | None = None) -> Machine[Any]:
    """Load a shipped machine by name, or a YAML file by path, and apply `overrides`.

    Raises:
        InputError: unknown name, malformed file, unknown key or impossible value.
    """
    named = named_machines()
    path = named.get(name_or_file, Path(name_or_file))
    if name_or_file not in named and path.suffix not in (".yaml", ".yml"):
        raise InputError(
            f"unknown machine {name_or_file!r}{did_you_mean(name_or_file, named)} "
            f"(allowed: {', '.join(named)}, or a .yaml file)"
        )
    file = read_machine_file(path)
    if file.family not in FAMILIES:
        raise InputError(
            f"{path}: family: unknown family {file.family!r} (allowed: {', '.join(FAMILIES)})"
        )
    family = importlib.import_module(FAMILIES[file.family])
    # A family of unlike machines has no base file: each of its files is whole.
    base_path = Path(__file__).parent / file.family / f"{file.family}.yaml"
    base = None if path == base_path or not base_path.exists() else read_machine_file(base_path)
    return build_machine(file, base, family.SPEC, overrides or {}, str(path))
