"""Putting a checkpoint into a model, and refusing weights that are not numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparsesim.errors import InputError
from sparsesim.validation import did_you_mean, shown
from workloads.pytorch.sparse_storage import to_plain
from workloads.pytorch.weight_files import WEIGHT_SUFFIXES, read_weights

#: Last part of keys that hold no weights: published BERT files number the positions.
_NOT_WEIGHTS = frozenset({"position_ids"})


def load_checkpoint(module: nn.Module, path: Path) -> dict[str, str]:
    """Load a ``.pt``/``.pth``/``.safetensors`` state dict into `module`; keys and shapes must fit.

    Masks beside weights, sparse layouts and packed 2:4 tensors are turned into weights with
    zeros (`workloads.pytorch.sparse_storage`). A missing key is filled where the model ties that
    tensor to one that is there.

    Returns:
        Which rule gave each weight that was not stored as a plain tensor.

    Raises:
        InputError: names the file and the key.
    """
    if path.suffix.lower() not in WEIGHT_SUFFIXES:
        raise InputError(f"{path}: not a checkpoint (give {', '.join(WEIGHT_SUFFIXES)})")
    expected = module.state_dict()
    plain = to_plain(read_weights(path), expected, path)
    state = _with_tied(plain.state, expected)
    for key, value in expected.items():
        if key not in state and not key.endswith("num_batches_tracked"):
            hint = did_you_mean(key, [str(name) for name in state])
            missing = sum(name not in state for name in expected)
            raise InputError(f"{path}: key {key!r} is missing (of {missing} missing keys){hint}")
        found = state.get(key, value)
        if not isinstance(found, Tensor):
            raise InputError(f"{path}: {key}: is a {type(found).__name__}, not a tensor")
        if found.shape != value.shape:
            raise InputError(
                f"{path}: {key}: shape {list(found.shape)}, the model needs {list(value.shape)}"
            )
        if found.dtype.is_floating_point != value.dtype.is_floating_point:
            raise InputError(f"{path}: {key}: is {found.dtype}, the model needs {value.dtype}")
    for key in state:
        if key.rpartition(".")[2] in _NOT_WEIGHTS and key not in expected:
            continue
        if key not in expected:
            hint = did_you_mean(str(key), expected)
            raise InputError(f"{path}: key {shown(key)} is not in the model{hint}")
    _refuse_non_finite(state, _buffers(module), str(path))
    module.load_state_dict({key: state.get(key, value) for key, value in expected.items()})
    return plain.rules


def _with_tied(state: dict[str, Any], expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """`state` with the keys added that share storage with a key it has (safetensors keeps one)."""
    stored = {expected[key].data_ptr(): key for key in state if key in expected}
    tied = {
        key: state[stored[value.data_ptr()]]
        for key, value in expected.items()
        if key not in state and value.numel() and value.data_ptr() in stored
    }
    return {**state, **tied}


def refuse_non_finite(module: nn.Module, where: str) -> None:
    """Refuse parameters and buffers without values (meta device), with NaN or infinity, or empty.

    Raises:
        InputError: names the tensor.
    """
    for key, value in module.named_parameters():
        if not value.numel():
            raise InputError(f"{where}: {key}: has 0 elements (shape {list(value.shape)})")
    _refuse_non_finite(module.state_dict(), _buffers(module), where)


def _buffers(module: nn.Module) -> frozenset[str]:
    return frozenset(name for name, _ in module.named_buffers(remove_duplicate=False))


def _refuse_non_finite(state: Mapping[str, Any], buffers: frozenset[str], where: str) -> None:
    """Infinite buffers are let pass: attention masks are kept so."""
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{where}: {key}: is a {type(value).__name__}, not a tensor; quantised modules are "
                "not supported"
            )
        if value.is_meta:
            raise InputError(
                f"{where}: {key}: is on the meta device and holds no values (--lazy draws masks "
                "instead of reading weights)"
            )
        if value.is_floating_point() and not _is_finite(value):
            what = "NaN" if bool(torch.isnan(value).any()) else "infinite"
            if what == "infinite" and key in buffers:
                continue
            raise InputError(f"{where}: {key}: holds {what} values")


def _is_finite(value: Tensor) -> bool:
    """Whether no element is NaN or infinite: extremes carry both, and are found fast."""
    return not value.numel() or all(bool(torch.isfinite(end)) for end in value.aminmax())
