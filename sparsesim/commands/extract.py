"""The verb `extract`: from a network to a trace file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import print_json, print_table, say, spinner


@click.command()
@click.argument("source", required=False)
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), help="Trace file to write (needed)."
)
@click.option("--list", "listing", is_flag=True, help="List the networks of the catalog.")
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="KEY=VALUE",
    callback=lambda _context, _option, texts: options.parsed_overrides(texts, "--param"),
    help="Set a parameter of a network of the catalog; may be repeated.",
)
@click.option(
    "--prune",
    default="detect",
    show_default=True,
    metavar="RECIPE",
    help="detect (the zeros that the weights have), none (dense), nm:N:M, balanced:S (keeps 1/S), "
    "unstructured:P (removes P); or nm:N:M:outputs|both|double, erk:P, global:P, block:RxC:P, "
    "fanin:P, butterfly:B, gqsa:G:P[:BITS], monarch:B.",
)
@click.option(
    "--method",
    default="bdwp",
    show_default=True,
    help="Products that training prunes: dense, srste, sdgp, sdwp, bdwp, transposable, "
    "bimask or slope.",
)
@click.option("--phase", default="training", show_default=True, help="training or inference.")
@click.option(
    "--optimizer", default="sgd", show_default=True, help="Of training: sgd (momentum) or adam."
)
@click.option("--batch", type=int, default=32, show_default=True, help="Samples in one step.")
@options.seed
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Weights: a .pt or .safetensors state dict.",
)
@click.option(
    "--model",
    metavar="MODEL",
    help="Of a SOURCE that is a file of weights: the catalog name or MODULE:FUNCTION they go onto.",
)
@click.option(
    "--lazy", is_flag=True, help="Build on the meta device: no weights, masks drawn when read."
)
@click.option(
    "--activations",
    metavar="RECIPE",
    help="Measure the sparsity of activations: zeros, threshold:P, channels:P or delta:BITS.",
)
@click.option(
    "--kv-cache", metavar="RECIPE", help="Prune what attention reads: mustafar:P or alisa:P."
)
@click.option(
    "--inputs",
    multiple=True,
    metavar="FILE",
    help="Inputs of the measuring run: .npz, .safetensors, .pt or random.  [default: random]",
)
@click.option(
    "--times",
    metavar="B",
    help="Of a matrix: multiply it with B.mtx, transpose or dense:COLS, or run a network on its "
    "graph, as gcn:1433,16,7 or sage:1433,16,7.  [default: itself]",
)
@click.option("--allow-unknown", is_flag=True, help="Count unsupported operators as element-wise.")
@options.force
@options.as_json
def extract(
    source: str | None,
    out: Path | None,
    listing: bool,
    parameters: dict[str, Any],
    prune: str,
    method: str,
    phase: str,
    optimizer: str,
    batch: int,
    seed: int,
    checkpoint: Path | None,
    model: str | None,
    lazy: bool,
    activations: str | None,
    kv_cache: str | None,
    inputs: tuple[str, ...],
    times: str | None,
    allow_unknown: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Capture a network, prune it and write a trace of one step.

    SOURCE is a name from the catalog (--list shows it) or MODULE:FUNCTION, a function of a
    module in the current directory that returns a PyTorch module and its example inputs. It may
    be a file too: a .pt2 or .onnx graph, or weights (.safetensors, .pt) with --model. Nothing in a
    file is executed.

    Or it is a sparse matrix: .mtx and edge lists (gzip, too), .npz, .graphml, .gml, or drawn, as
    rmat:scale=14,edges=270100,seed=1 (docs/matrices.md). The trace is of its product with itself,
    or with what --times says; the options of networks do not apply.
    """
    if listing:
        _list(source, as_json)
        return
    if source is None:
        raise click.UsageError("Missing argument 'SOURCE'.")
    if out is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    from sparsesim.atomic_output import refuse_existing_file

    refuse_existing_file(out, force)
    from sparsesim.trace import save
    from workloads.extract import extract as capture

    with spinner(f"extracting {source}") as on_message:
        trace = capture(
            source,
            prune=prune,
            method=method,
            phase=phase,
            optimizer=optimizer,
            batch=batch,
            seed=seed,
            checkpoint=checkpoint,
            model=model,
            parameters=parameters,
            lazy=lazy,
            activations=activations,
            kv_cache=kv_cache,
            inputs=inputs,
            times=times,
            allow_unknown=allow_unknown,
            on_message=on_message,
        )
        save(trace, out)
    if as_json:
        print_json(
            {
                "file": str(out),
                "name": trace.name,
                "sha256": trace.sha256(),
                "operators": len(trace.operators),
                "provenance": trace.manifest.provenance,
            }
        )
        return
    say(f"{out}: {len(trace.operators)} operators of {source}")


def _list(name: str | None, as_json: bool) -> None:
    """Print the catalog, or the parameters of one network."""
    from sparsesim.errors import InputError
    from sparsesim.validation import did_you_mean, shown
    from workloads.catalog import catalog_names
    from workloads.catalog_listing import list_catalog

    names = catalog_names()
    if name is not None and name not in names:
        raise InputError(
            f"--list {shown(name)}: not in the catalog{did_you_mean(name, names)}; it holds "
            f"{', '.join(names)}"
        )
    networks = [row for row in list_catalog() if name in (None, row["name"])]
    if as_json:
        print_json({"networks": networks})
        return
    if name is None:
        print_table(
            "networks (sparsesim extract --list NAME explains the parameters)",
            [("name", False), ("network", False), ("inputs", False), ("parameters", False)],
            [
                (row["name"], row["title"], _inputs(row["inputs"]), _defaults(row["parameters"]))
                for row in networks
            ],
        )
        return
    (found,) = networks
    say(f"{found['title']} ({found['source']}); inputs {_inputs(found['inputs'])}")
    columns = ("name", "default", "allowed", "description")
    print_table(
        f"parameters of {name}",
        [(column, False) for column in columns],
        [[str(row[column]) for column in columns] for row in found["parameters"]],
    )


def _inputs(inputs: dict[str, list[int | str]]) -> str:
    return ", ".join(
        f"{name} ({', '.join(str(extent) for extent in extents)})"
        for name, extents in inputs.items()
    )


def _defaults(parameters: list[dict[str, Any]]) -> str:
    return " ".join(f"{row['name']}={row['default']}" for row in parameters)
