"""Capture of a module's forward pass with ``torch.export``."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from sparsesim.errors import InputError
from workloads.pytorch.captured_graph import Captured
from workloads.pytorch.decompose import decompose
from workloads.pytorch.fast_path import unfused
from workloads.pytorch.inline_regions import inline_regions
from workloads.pytorch.network import Network
from workloads.pytorch.recorded_run import record_run


def capture(network: Network, training: bool) -> Captured:
    """Export `network` in train or eval mode (dropout and batch norm differ), on fake tensors.

    Where the model's control flow or its sizes depend on data, the operators of one run on the
    example inputs are recorded instead, which is noted in the network.

    Raises:
        InputError: the model can be captured neither way; the first line of torch's reason is
            shown.
    """
    module = network.module
    if network.program is None:
        module.train(training)
    elif training:
        network.notes.append("dropout and batch norm are in the mode in which they were exported")
    try:
        program = network.program or _export(network, module)
    except InputError as refusal:
        return _record(network, refusal)
    if _depends_on_data(program):
        return _record(network, None)
    program = decompose(program)
    # A tied parameter has several names in the exporter's signature: the module's first one counts.
    names = {id(value): path for path, value in module.named_parameters()}
    parameters: dict[str, str] = {}
    buffers: dict[str, str] = {}
    constants: dict[str, Any] = {}
    for spec in program.graph_signature.input_specs:
        placeholder, target = spec.arg.name, spec.target
        if spec.kind is InputKind.PARAMETER:
            parameters[placeholder] = names[id(module.get_parameter(target))]
        elif spec.kind is InputKind.BUFFER:
            buffers[placeholder] = target
        elif spec.kind is InputKind.CONSTANT_TENSOR:
            constants[placeholder] = program.constants[target]
    return Captured(module, inline_regions(program.graph_module), parameters, buffers, constants)


def _depends_on_data(program: ExportedProgram) -> bool:
    """Whether some size is known only when the model runs."""
    return any(
        not isinstance(extent, int)
        for node in program.graph.nodes
        for value in _tensors(node.meta.get("val"))
        for extent in value.shape
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _record(network: Network, refusal: InputError | None) -> Captured:
    if any(value.is_meta for value in network.module.parameters()):
        raise refusal or InputError(
            f"{network.source}: sizes depend on data, which a model on the meta device has not; "
            "drop --lazy"
        )
    try:
        captured = record_run(network)
    except (Exception, SystemExit) as error:  # the user's model fails in its own way
        if refusal is not None:
            raise refusal from None
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{network.source}: running {type(network.module).__name__} failed with "
            f"{type(error).__name__}: {reason}"
        ) from None
    network.notes.append(
        "control flow or sizes depend on data: what one run on the example inputs did was recorded"
    )
    return captured


def _export(network: Network, module: nn.Module) -> ExportedProgram:
    try:
        with warnings.catch_warnings(), unfused(), _quiet_export():
            warnings.simplefilter("ignore")
            return torch.export.export(module, network.args, network.kwargs, strict=False)
    except (Exception, SystemExit) as error:  # of many types, all about the user's model
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{network.source}: torch.export cannot capture {type(module).__name__} "
            f"({type(error).__name__}: {reason})"
        ) from None


@contextmanager
def _quiet_export() -> Iterator[None]:
    """Keep what torch logs and prints of a failed export off the user's terminal."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            yield
    finally:
        logger.setLevel(level)
