"""What the catalog holds, as plain values: no network is built."""

from __future__ import annotations

from typing import Any

from workloads.catalog import CatalogEntry, catalog_names, load_entry

_BOUNDS = (
    ("minimum", ">="),
    ("exclusiveMinimum", ">"),
    ("maximum", "<="),
    ("exclusiveMaximum", "<"),
    ("multipleOf", "a multiple of"),
)


def list_catalog() -> list[dict[str, Any]]:
    """Every entry: its name, title, source, whether it trains and is lazy, parameters, inputs.

    A parameter has ``name``, ``default``, ``allowed`` and ``description``; an input its name and
    its extents, numbers where the defaults fix them. An entry whose PyTorch is not installed is
    listed with a title that says so.
    """
    rows = []
    for name in catalog_names():
        try:
            rows.append(_row(name, load_entry(name)))
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            entry = CatalogEntry(build=tuple, title="needs PyTorch")
            rows.append(_row(name, entry))
    return rows


def _row(name: str, entry: CatalogEntry) -> dict[str, Any]:
    parameters = list_parameters(entry)
    defaults = {row["name"]: row["default"] for row in parameters}
    return {
        "name": name,
        "title": entry.title,
        "source": entry.source,
        "trained": entry.training is not None,
        "lazy": entry.lazy,
        "parameters": parameters,
        "inputs": {
            key: [defaults.get(extent, extent) for extent in extents]
            for key, extents in entry.inputs.items()
        },
    }


def list_parameters(entry: CatalogEntry) -> list[dict[str, Any]]:
    """Name, default, allowed values (in words) and description of each parameter."""
    if entry.parameters is None:
        return []
    properties = entry.parameters.model_json_schema()["properties"]
    chosen = entry.parameters.model_validate(dict(entry.defaults)).model_dump(mode="json")
    return [
        {
            "name": key,
            "default": chosen[key],
            "allowed": _allowed(schema),
            "description": schema.get("description", ""),
        }
        for key, schema in properties.items()
    ]


def _allowed(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("prefixItems", [])
        return f"{len(items)} whole numbers" if items else "list of whole numbers"
    limits = " and ".join(f"{word} {schema[key]:g}" for key, word in _BOUNDS if key in schema)
    return f"{schema.get('type', 'value')} {limits}".strip()
