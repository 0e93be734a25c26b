"""The inputs of a measuring run: from a file, or random."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from sparsesim.errors import InputError
from workloads.pytorch.captured_graph import Captured
from workloads.pytorch.weight_files import WEIGHT_SUFFIXES, read_weights

MAX_BYTES = 2**34


def input_frame(captured: Captured, source: str, seed: int) -> list[Tensor]:
    """Values of the network's inputs, from ``random`` or a ``.npz``, ``.safetensors``, ``.pt``.

    Random numbers are standard normal; random indices are below the number of rows of the
    embedding that reads them; other integers stay those of the example. A file holds an array per
    input, under its name (``x``), or in order.

    Raises:
        InputError: the file cannot be read, or an input is missing or has another shape.
    """
    nodes = user_inputs(captured)
    if source == "random":
        generator = torch.Generator().manual_seed(seed)
        return [_random(node, generator) for node in nodes]
    path = Path(source)
    arrays = _read(path)
    unnamed = list(arrays.values()) if len(arrays) == len(nodes) else []
    return [
        _fitting(path, node, arrays.get(node.name, unnamed[index] if unnamed else None), arrays)
        for index, node in enumerate(nodes)
    ]


def user_inputs(captured: Captured) -> list[fx.Node]:
    """Placeholders that the caller of the model fills with tensors."""
    known = {*captured.parameters, *captured.buffers, *captured.constants}
    return [
        node
        for node in captured.graph.nodes
        if node.op == "placeholder"
        and node.name not in known
        and isinstance(node.meta.get("val"), Tensor)
    ]


def _random(node: fx.Node, generator: torch.Generator) -> Tensor:
    value = node.meta["val"]
    shape, dtype = tuple(value.shape), value.dtype
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    rows = [
        user.args[0].meta["val"].shape[0]
        for user in node.users
        if "embedding" in str(user.target) and isinstance(user.args[0], fx.Node)
    ]
    if rows and dtype is not torch.bool:
        return torch.randint(0, min(rows), shape, generator=generator).to(dtype)
    return torch.ones(shape, dtype=dtype)


def _fitting(path: Path, node: fx.Node, value: Tensor | None, arrays: dict[str, Tensor]) -> Tensor:
    wanted = node.meta["val"]
    if value is None:
        raise InputError(f"{path}: no array for input {node.name!r} (holds {', '.join(arrays)})")
    if value.shape != wanted.shape:
        raise InputError(
            f"{path}: {node.name}: shape {list(value.shape)}, the captured network needs "
            f"{list(wanted.shape)}"
        )
    if value.dtype.is_floating_point != wanted.dtype.is_floating_point:
        raise InputError(f"{path}: {node.name}: is {value.dtype}, the network needs {wanted.dtype}")
    if value.dtype.is_floating_point and not bool(torch.isfinite(value).all()):
        raise InputError(f"{path}: {node.name}: holds NaN or infinite values")
    return value.to(wanted.dtype)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in WEIGHT_SUFFIXES:
        content: dict[str, Any] = read_weights(path)
    elif path.suffix.lower() == ".npz":
        content = _read_npz(path)
    else:
        raise InputError(f"--inputs {path}: must be random, .npz, .safetensors or .pt")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {key}: is a {type(value).__name__}, not a tensor")
    return content


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(member.file_size for member in archive.infolist())
        if inflated > MAX_BYTES:
            raise InputError(f"{path}: unpacks to {inflated} bytes; at most {MAX_BYTES} are read")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in arrays}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not an .npz of numbers ({error})") from None
