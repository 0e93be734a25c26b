"""A network by name: from the catalog, a user's ``module:function``, or a file with its graph."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparsesim.errors import InputError
from sparsesim.validation import did_you_mean, shown
from workloads.catalog import CatalogEntry, catalog_names, load_entry
from workloads.pytorch.network import Network
from workloads.pytorch.weight_files import WEIGHT_SUFFIXES

if TYPE_CHECKING:
    pass

_GRAPH_SUFFIXES = (".pt2", ".onnx")
_FORMS = (
    "a catalog name ({}), module:function, a .pt2 or .onnx file, weights (.safetensors, .pt) with "
    "--model, a .mtx matrix"
)


def is_weight_file(source: str) -> bool:
    """Whether `source` names a file of tensors, which needs an architecture to go onto."""
    return Path(source).suffix.lower() in WEIGHT_SUFFIXES


def load_network(
    source: str,
    batch: int,
    on_message: Callable[[str], None],
    lazy: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> Network:
    """Build the model and its example inputs, or read them from a ``.pt2`` or ``.onnx`` file.

    Args:
        source: a catalog name, ``module:function`` or a file.
        batch: samples, where the source can choose.
        on_message: called with each line a user should see.
        lazy: build on the meta device.
        parameters: of a catalog network, in place of its defaults.

    Raises:
        InputError: lists what is accepted; or the module or function does not exist, fails, or
            returns something else; or the file is not what its name says.
    """
    _check_source(source)
    parameters = parameters or {}
    if parameters and source not in catalog_names():
        raise InputError(f"--param: {source} is not of the catalog, whose networks alone have them")
    if Path(source).suffix.lower() in _GRAPH_SUFFIXES and source not in catalog_names():
        if lazy:
            raise InputError(f"--lazy: {source} holds its weights; only models are built lazily")
        return _read_graph(Path(source), batch)
    device = torch.device("meta") if lazy else nullcontext()
    if source in catalog_names():
        entry: CatalogEntry = load_entry(source)
        try:
            with device:
                module, args = entry.example(source, batch, parameters)
        except (RuntimeError, MemoryError) as error:  # how torch says that memory does not suffice
            raise InputError(
                f"{source}: cannot be built with batch {batch} and these parameters "
                f"({_summary(error)})"
            ) from None
        chosen = entry.choose(source, parameters)
        return Network(
            source,
            module,
            args,
            training=entry.training,
            samples=batch,
            configuration={} if chosen is None else chosen.model_dump(mode="json"),
        )
    module_name, _, function_name = source.partition(":")
    with _current_directory_importable(), device:
        function = _find_function(source, module_name, function_name)
        takes_batch = _takes_batch(function)
        try:
            result = function(batch=batch) if takes_batch else function()
        except InputError:
            raise
        except (Exception, SystemExit) as error:
            raise InputError(f"{source}: {function_name}() failed with {_summary(error)}") from None
    network = _network(source, result)
    if not takes_batch and network.batch != batch:
        on_message(
            f"{source}: {function_name}() takes no batch keyword; its example inputs are used as "
            f"they are (batch {network.batch})"
        )
    return network


def _check_source(source: str) -> None:
    names = catalog_names()
    accepted = _FORMS.format(", ".join(names))
    if source in names or Path(source).suffix.lower() in _GRAPH_SUFFIXES:
        return
    module, separator, function = source.partition(":")
    if not separator:
        raise InputError(
            f"unknown source {shown(source)}{did_you_mean(source, names)}; accepted: {accepted}"
        )
    is_file = "/" in module or module.endswith(".py")
    parts = [*module.split("."), function]
    if is_file or not all(part.isidentifier() for part in parts):
        hint = " (a module name, without .py and slashes)" if is_file else ""
        raise InputError(f"source {shown(source)}: must be module:function{hint}")


def _read_graph(path: Path, batch: int) -> Network:
    if path.suffix.lower() == ".onnx":
        from workloads.onnx.source import read_onnx

        return read_onnx(path, batch)
    from workloads.pytorch.exported_program import load_program, with_fixed_shapes

    program = with_fixed_shapes(path, load_program(path), batch)
    module = program.module(check_guards=False)
    args, kwargs = program.example_inputs or ((), {})
    network = Network(str(path), module, tuple(args), dict(kwargs), program=program)
    network.weights = f"in {path.name}"
    if network.batch != batch:
        network.notes.append(
            f"{path.name} was exported with batch {network.batch}, which is what the trace has"
        )
    return network


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _find_function(source: str, module_name: str, function_name: str) -> Callable[..., Any]:
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise InputError(
                f"{source}: no module named {error.name!r} (searched the current directory and "
                "the installed packages)"
            ) from None
        raise InputError(f"{source}: importing {module_name} failed: {error}") from None
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{source}: importing {module_name} failed with {_summary(error)}"
        ) from None
    function = getattr(module, function_name, None)
    if function is None:
        public = [name for name, value in vars(module).items() if callable(value)]
        hint = did_you_mean(function_name, public)
        raise InputError(f"{source}: module {module_name} has no {function_name!r}{hint}")
    if not callable(function):
        raise InputError(
            f"{source}: {function_name} is a {type(function).__name__}, a function is needed"
        )
    return function


def _takes_batch(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        parameter.kind is parameter.VAR_KEYWORD
        or (parameter.name == "batch" and parameter.kind is not parameter.POSITIONAL_ONLY)
        for parameter in parameters
    )


def _network(source: str, result: object) -> Network:
    if isinstance(result, nn.Module):
        raise InputError(
            f"{source}: returned a {type(result).__name__} without example inputs; return "
            "(module, example_inputs)"
        )
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], nn.Module):
        raise InputError(
            f"{source}: returned a {type(result).__name__}; must return a torch.nn.Module and its "
            "example inputs: (module, example_inputs)"
        )
    module, inputs = result
    if isinstance(inputs, torch.Tensor):
        inputs = (inputs,)
    args = tuple(inputs) if isinstance(inputs, tuple | list) else ()
    kwargs = dict(inputs) if isinstance(inputs, Mapping) else {}
    if not any(isinstance(value, torch.Tensor) for value in (*args, *kwargs.values())):
        raise InputError(
            f"{source}: example inputs are a {type(inputs).__name__} without a tensor; must be a "
            "tensor, a tuple of arguments or a dict of keyword arguments"
        )
    return Network(source, module, args, kwargs)


def _summary(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
