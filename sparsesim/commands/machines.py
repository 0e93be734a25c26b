"""The verb `machines`: the machines that ship with the package, and what their values rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, print_table

if TYPE_CHECKING:
    from sparsesim.machines.parameters import Machine


@click.command()
@click.argument("name", required=False)
@options.as_json
def machines(name: str | None, as_json: bool) -> None:
    """List the machines, or the parameters of one of them."""
    from sparsesim.machines.registry import load_machine

    if name is None:
        _list(as_json)
        return
    machine = load_machine(name)
    rows = parameters(machine)
    if as_json:
        print_json(
            {
                "name": machine.name,
                "family": machine.family,
                "description": machine.description,
                "sha256": machine.sha256(),
                "parameters": {row.pop("key"): row for row in rows},
            }
        )
        return
    print_table(
        f"{machine.name} ({machine.family}): {machine.description}",
        [("key", False), ("value", True), ("status", False), ("meaning", False), ("source", False)],
        [
            (row["key"], _shown(row["value"]), row["status"], row["description"], row["source"])
            for row in rows
        ],
    )


def parameters(machine: Machine[Any]) -> list[dict[str, Any]]:
    """Each parameter of a machine: key, value, status, source, and a description with its unit."""
    values = machine.spec.model_dump(mode="json")
    fields = type(machine.spec).model_fields
    rows = []
    for key, value in values.items():
        evidence = machine.provenance.get(key)
        rows.append(
            {
                "key": key,
                "value": value,
                "status": evidence.status if evidence else "default",
                "source": evidence.source if evidence else "the family's record",
                "description": fields[key].description or "",
            }
        )
    return rows


def _shown(value: Any, limit: int = 40) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _list(as_json: bool) -> None:
    from sparsesim.machines.parameters import read_machine_file
    from sparsesim.machines.registry import named_machines

    rows = [
        {"name": name, "family": file.family, "description": file.description}
        for name, path in named_machines().items()
        for file in [read_machine_file(path)]
    ]
    if as_json:
        print_json({"machines": rows})
        return
    columns = ("name", "family", "description")
    print_table(
        "machines (sparsesim machines NAME shows the parameters)",
        [(column, False) for column in columns],
        [[row[column] for column in columns] for row in rows],
    )
