"""The verb `extract`: from a network to a trace file."""

from __future__ import annotations

from pathlib import Path

import click

from sparsesim.commands import options
from sparsesim.commands.terminal import say, spinner


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    help="Trace file to write.",
)
@click.option(
    "--prune",
    default="detect",
    show_default=True,
    metavar="RECIPE",
    help="detect (the zeros that the weights have), none (dense), nm:N:M, balanced:S (keeps 1/S) or unstructured:P (removes P).",
)
@click.option(
    "--method",
    default="bdwp",
    show_default=True,
    help="Products that training prunes: dense, srste, sdgp, sdwp or bdwp.",
)
@click.option("--phase", default="training", show_default=True, help="training or inference.")
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
    "--times",
    metavar="B",
    help="Of a matrix: multiply it with B.mtx, transpose or dense:COLS.  [default: itself]",
)
@click.option("--allow-unknown", is_flag=True, help="Count unsupported operators as element-wise.")
@options.force
def extract(
    source: str,
    out: Path,
    prune: str,
    method: str,
    phase: str,
    batch: int,
    seed: int,
    checkpoint: Path | None,
    model: str | None,
    lazy: bool,
    times: str | None,
    allow_unknown: bool,
    force: bool,
) -> None:
    """Capture a network, prune it and write a trace of one step.

    SOURCE is a name from the catalog (digits_cnn, resnet18) or MODULE:FUNCTION, a function of a
    module in the current directory that returns a PyTorch module and its example inputs. It may
    be a file too: a .pt2 or .onnx graph, or weights (.safetensors, .pt) with --model. Nothing in a
    file is executed.

    Or it is a sparse matrix: .mtx and edge lists (gzip, too), .npz, .graphml, .gml, or drawn, as
    rmat:scale=14,edges=270100,seed=1 (docs/matrices.md). The trace is of its product with itself,
    or with what --times says; the options of networks do not apply.
    """
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
            batch=batch,
            seed=seed,
            checkpoint=checkpoint,
            model=model,
            lazy=lazy,
            times=times,
            allow_unknown=allow_unknown,
            on_message=on_message,
        )
        save(trace, out)
    say(f"{out}: {len(trace.operators)} operators of {source}")
